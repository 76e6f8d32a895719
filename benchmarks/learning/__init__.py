"""What is learned, against known optima and against luck."""
