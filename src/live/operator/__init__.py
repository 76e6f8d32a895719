"""What a person asks of a bot: to close a position, and to let it go on."""
