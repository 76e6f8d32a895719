"""Episodic memory: what is worth remembering, under which key, and what resembles now."""
