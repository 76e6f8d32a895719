"""Position sizing and the risk guard, as array functions every mode calls."""
