"""What is on disk: the folders of runs, and a catalogue of runs, models and reports. Needs neither ray nor torch."""
