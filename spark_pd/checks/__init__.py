"""Rules and a DataFrame in, the checked DataFrame and its counts out.

validation, row_plan, aggregates_and_queries    the rules as Spark takes them; every mistake is reported before any data is read
checked                                         one call of run.check, to what is found at the end
before_write                                    `fail` rules and rules over the whole data, judged before anything is written
counting                                        which way of counting a session gets: operator, observation or two_pass
write_evaluation                                pure: which evaluation belongs to the data that was written
failing_rows, error_table                       the rows that fail a rule
"""
