"""Experts behind a gate."""
