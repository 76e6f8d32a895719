"""What must not be forgotten, in databases: a bot's bars, steps, orders and fills; trials and looks of research."""
