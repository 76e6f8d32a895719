"""What a run needs and is refused without, before torch and ray are loaded and long before anything is trained."""
