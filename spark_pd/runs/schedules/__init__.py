"""Schedules: when a table's runs are expected, whether they came, and the alert where one did not.

text or file -> schedules; schedules, the stats table's runs, now -> findings -> verdicts of the trigger `late`
"""
