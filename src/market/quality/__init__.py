"""What is wrong with the bars that were read, and what that leads to; no value is ever changed."""
