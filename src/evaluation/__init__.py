"""Return statistics and significance tests. Pure functions of arrays.

No command calls `purged_splits` and `superior_ability`: they are for whoever compares many strategies from Python.
"""
