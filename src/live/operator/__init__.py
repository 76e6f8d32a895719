"""What a person asks of a bot, from the command line or a messenger: to start, tell, pause, close, and go on."""
