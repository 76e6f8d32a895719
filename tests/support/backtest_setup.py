"""Small model files and bars shared by the tests of `run_backtest.py`."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import run_backtest
from src.agents.model_file import ModelFile, describe_split
from src.config.load import load_training_config, to_plain
from src.config.training import TrainingConfig
from src.market.sources import load_bars
from src.models.moe_model import MoEModel
from src.models.ppo_model import PPOModel, build_model
from src.training.training_data import prepare_data

SETTINGS = [
    "symbol=A",
    "data.source=synthetic",
    "data.synthetic.bars=900",
    "features.names=[returns,volatility]",
    "sequence.stage_2_moe=null",
    "model.core.window=8",
    "model.core.d_model=8",
    "model.core.num_heads=2",
    "model.core.ff_dim=8",
    "model.head_dim=8",
    "sequence.stage_3_maml=null",
    "sequence.stage_4_autonomous=null",
]
CONFIG = load_training_config(SETTINGS)


def make_file(stage: str, seed: int = 0, config: TrainingConfig = CONFIG) -> ModelFile:
    """A model file as training would write it, with random but decided weights."""
    data = prepare_data(config)
    model = build_model(PPOModel, seed, config.model, len(data.pipeline.columns), 4, len(data.rules.action.targets))
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return ModelFile(
        kind="ppo",
        stage=stage,
        symbol="A",
        timeframe=data.bars.timeframe,
        weights=model.state_dict(),
        model=model.describe(),
        features=data.pipeline.to_plain(),
        rules=data.rules.to_plain(),
        data_fingerprint=data.bars.fingerprint,
        split=describe_split(data.bars, data.splits),
        config=to_plain(config),
        evaluations=1,
        validation={},
        verdict="",
        lineage=[],
    )


def make_mixture(experts: int) -> MoEModel:
    """A mixture for the same bars, with random but decided weights, and a gate that has opinions."""
    mixture = {"experts": experts, "top_k": None, "gate_dim": 8, "gate_window": 8}
    model = MoEModel.from_description(make_file("stage_1_ppo").model | {"mixture": mixture}, seed=3)
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
        if model.trunk.gate is not None:
            model.trunk.gate.output.weight.mul_(50.0)
    return model


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command line."""
    code = run_backtest.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def write_csv(
    path: Path,
    bars: int = 900,
    symbol: str = "A",
    every_ms: int = 1,
    since_ms: int = 1_500_000_000_000,
    rows: int | None = None,
) -> Path:
    """Write the first `rows` of a market of so many bars, moved in time by `since_ms`."""
    series = load_bars(symbol, replace(CONFIG.data, synthetic=replace(CONFIG.data.synthetic, bars=bars)), seed=5)
    columns = {name: getattr(series, name) for name in ("open", "high", "low", "close", "volume")}
    frame = pd.DataFrame({"open_time": series.open_time * every_ms + since_ms, **columns})
    frame[:rows].to_csv(path, index=False)
    return path
