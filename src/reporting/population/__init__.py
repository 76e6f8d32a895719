"""The page of a population run, and the record it is drawn from."""
