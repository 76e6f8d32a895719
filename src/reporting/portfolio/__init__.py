"""Reports of accounts that hold several symbols."""
