"""What a person sees of a bot: health, metrics, notifications, drift, and what is ready before a start."""
