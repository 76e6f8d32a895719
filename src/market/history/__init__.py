"""Bars of the past from an exchange, and the store they are kept in."""
