"""How a decided amount becomes orders at an exchange: a style of execution each, and the desk they send through."""
