"""What a bot must not forget: bars, steps, orders and fills in one SQLite file, and reading them."""
