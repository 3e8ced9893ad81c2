"""The systems of the table and their models' weights."""
