"""The interactive chart of a page: its data here, its scripts in `assets`."""
