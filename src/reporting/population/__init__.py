"""The page of a breeding run, and the record it is drawn from."""
