"""Settings of portfolios: who decides, and what a person allows."""
