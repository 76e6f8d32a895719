"""The bot: closed candles in, journaled orders out, and what a server needs around it."""
