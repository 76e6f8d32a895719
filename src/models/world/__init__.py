"""The parts of a world model: inputs, heads, targets, and what is drawn from its predictions."""
