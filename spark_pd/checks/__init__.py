"""The data-quality hook: rules and a DataFrame in, the checked DataFrame and its counts out.

row_plan      which rules are evaluated, as bits of a mask; every mistake in them reported before any data is touched
counting      what a counter promises, and which one a session gets: operator, observation or two_pass
bound         pure: which evaluation belongs to the data that was written
failing       the rows that fail a rule, for the error table and for samples
checked       one call of run.check, from the settling of `fail` rules to what is found at the end
"""
