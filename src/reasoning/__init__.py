"""Modules that read the market before an agent does: what regime it is in."""
