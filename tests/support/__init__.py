"""Set-ups and stand-ins that several tests share."""
