"""What a bot is measured by."""
