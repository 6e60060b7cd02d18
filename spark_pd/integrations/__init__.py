"""Runs of other data-quality engines. Each module imports its engine; nothing else in spark_pd imports them."""
