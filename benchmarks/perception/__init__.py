"""What is seen in a market: regimes, chart patterns, what happened before, what may come."""
