"""Ways to tell which regime a market is in."""
