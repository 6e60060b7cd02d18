"""From the facts of a run to decisions, alerts and what the policy lets out. Pure: no Spark, no network."""
