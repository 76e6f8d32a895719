"""Stations for accounts that hold several symbols: exits, caps, and which positions may be opened."""
