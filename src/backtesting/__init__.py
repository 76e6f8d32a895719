"""Historical simulation: gymnasium environments and the backtest engine."""
