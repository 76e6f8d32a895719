"""Return statistics and significance tests. Pure functions of arrays."""
