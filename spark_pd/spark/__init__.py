"""What touches the session: classic or Connect, its settings and facts, the Java that is compiled in the driver, the SQL executions."""
