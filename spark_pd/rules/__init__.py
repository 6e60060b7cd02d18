"""Rules from a list, a file, a table or a DataFrame."""
