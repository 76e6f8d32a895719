"""Where orders go and what became of them: in the books alone, or at an exchange."""
