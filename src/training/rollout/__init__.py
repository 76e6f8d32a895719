"""Playing many accounts over bars that are encoded once."""
