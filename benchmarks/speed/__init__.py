"""How much is done in a second."""
