"""Whatever turns an observation into a target exposure, and the model file."""
