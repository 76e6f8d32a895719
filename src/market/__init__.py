"""Prices: bars, where they come from, how they are checked and split. No trading here."""
