"""What accounts of several symbols earned."""
