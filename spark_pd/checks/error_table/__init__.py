"""The error table: the rows that failed, beside the table that they were kept out of or that has them.

outcome    what became of it in one run
clashes    tables that would be written into one another
place      its name or path, from the target's
writing    the rows to the table, whatever its format; never a failure of the job
"""
