"""Settings of the parts of an autonomous agent: world model, memory, what it reads in the market."""
