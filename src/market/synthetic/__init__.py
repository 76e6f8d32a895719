"""Generated markets, and what the best policy would earn on them."""
