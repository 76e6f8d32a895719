"""SuperTrader: reinforcement learning for autonomous trading."""
