"""`run_backtest.py --model maml`: an adaptive model trades without ray, and bars to come change no decision."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from src.agents.model_file import ModelFile, model_path, save_model
from src.config.load import load_training_config, to_plain
from src.config.stages.learning import AdaptationConfig, MAMLStageConfig
from src.models.maml_model import MAMLModel
from src.models.ppo_model import build_model
from src.reporting.steps_file import read_steps
from src.trading.records import StepRecord
from src.training.training_data import prepare_data
from tests.support.backtest_setup import SETTINGS, make_file, run, write_csv

ROOT = Path(__file__).resolve().parents[2]
STAGE = MAMLStageConfig(
    groups=4,
    minibatches=2,
    horizon=16,
    period_bars=64,
    adaptation=AdaptationConfig(support_bars=30, adapt_every=24, inner_steps=2),
)


def maml_file() -> ModelFile:
    """A model file as a MAML stage would leave it, with random but decided weights."""
    config = replace(load_training_config(SETTINGS), sequence={"stage_3_maml": STAGE})
    data = prepare_data(config)
    model = build_model(MAMLModel, 0, config.model, len(data.pipeline.columns), 4, 5, adaptation=STAGE.adaptation)
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return replace(
        make_file("stage_3_maml", config=config),
        kind="maml",
        model=model.describe(),
        weights=model.state_dict(),
        config=to_plain(config),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_model(model_path("A", "stage_3_maml", tmp_path / "checkpoints"), maml_file())
    return tmp_path


def steps(capsys: pytest.CaptureFixture[str], folder: Path, data: Path) -> StepRecord:
    code, _, err = run(
        capsys, "--symbol", "A", "--model", "maml", "--data", str(data), "--split", "all", "--report", data.stem
    )
    assert code == 0, err
    return read_steps(folder / data.stem / "steps.parquet")


def test_bars_to_come_change_no_decision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(folder / "whole.csv", bars=500)
    whole = steps(capsys, folder, path)
    frame, other = pd.read_csv(path), pd.read_csv(write_csv(folder / "other.csv", bars=500, every_ms=1, symbol="B"))
    now = 330
    scale = frame["close"][now] / other["close"][now]
    for name in ("open", "high", "low", "close"):
        frame.loc[now + 1 :, name] = scale * other.loc[now + 1 :, name]
    frame.to_csv(folder / "changed.csv", index=False)
    changed = steps(capsys, folder, folder / "changed.csv")
    seen = int((whole.close_time <= frame["open_time"][now] + 3_600_000).sum())
    assert 100 < seen < len(whole.close_time)
    for name, column in whole._asdict().items():
        np.testing.assert_array_equal(getattr(changed, name)[:seen], column[:seen], err_msg=name)
    assert (changed.target[seen:] != whole.target[seen:]).any()
    assert len(set(whole.target[:seen])) > 1


def test_it_needs_no_ray(folder: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import run_backtest\n"
        "sys.exit(run_backtest.main(['--symbol', 'A', '--model', 'maml']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    assert "comparison checkpoints/A_stage_3_maml.pth, test split of A" in done.stdout
