"""Where a training run's metrics go: TensorBoard, Weights & Biases, and `metrics.jsonl`, which is always kept."""
