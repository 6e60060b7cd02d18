"""The stats table and the state beside it: one row for each run, and what earlier runs say."""
