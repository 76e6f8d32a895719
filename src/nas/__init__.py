"""Search over architectures and hyperparameters as plain data: no models, no training, no torch."""
