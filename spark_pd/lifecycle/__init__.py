"""What Spark did during a run, beside what its rows were: facts of the listener, and what the lifecycle triggers make of them."""
