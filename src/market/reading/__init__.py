"""From a price file of any shape to checked bars."""
