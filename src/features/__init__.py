"""Causal per-bar features and the scaler fitted on the training split."""
