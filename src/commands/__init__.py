"""What the command lines do, once their arguments are understood."""
