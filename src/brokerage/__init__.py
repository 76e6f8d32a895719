"""Accounts at a broker: what is asked of one, the exchange behind ccxt, the time, what must not be logged."""
