"""Settings of the stages of a training sequence."""
