"""A small model file, whose content means nothing."""

import torch

from src.agents.model_file import ModelFile

EXAMPLE = ModelFile(
    kind="ppo",
    stage="stage_1_ppo",
    symbol="BTC/USDT",
    timeframe="1h",
    weights={"head.weight": torch.arange(12.0).reshape(3, 4), "head.bias": torch.zeros(3)},
    model={"trunk": "transformer", "core": {"window": 64}},
    features={"names": ["returns", "rsi"], "scale": [0.5, 1.25]},
    rules={"account_inputs": ["exposure"]},
    data_fingerprint="abc",
    split={"train": {"rows": [10, 600], "time": [1, 2]}},
    config={"seed": 0, "sequence": {"stage_1_ppo": {"algorithm": "PPO"}}},
    evaluations=12,
    validation={"sharpe": 0.1},
    verdict="not judged",
    lineage=["fresh"],
)
