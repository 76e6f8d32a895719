"""Stations: what may change a decision on its way to an order, one chain in backtest, paper and live."""
