"""The Autonomous stage: members, how they are trained, judged, changed and bred."""
