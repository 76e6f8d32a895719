"""Typed settings: the schema with every default, and loading from YAML and the command line."""
