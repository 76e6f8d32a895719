"""`run_training.py --rolling` as a user calls it: one record, killed or not, that knows nothing of what comes later."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from run_training import main
from src.agents.model_file import load_model
from src.market.sources import load_bars
from src.training.rllib.environment_variables import set_environment_variables
from src.training.rllib.ray_runtime import ray_session
from tests.support.autonomous_setup import TINY as TINY_POPULATION
from tests.support.training_setup import TINY, tiny_config

ROOT = Path(__file__).resolve().parents[2]

# Trains as run_training.py does, and dies once the second step has saved its first state.
DRIVER = """
import os, signal, sys
from src.training.rllib.environment_variables import set_environment_variables

set_environment_variables()
import run_training
from src.runs import run_folder

save, seen = run_folder.StageFolder.save_state, set()

def save_and_die(self, iteration, write):
    save(self, iteration, write)
    seen.add(self.path)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "killed":
    run_folder.StageFolder.save_state = save_and_die
sys.exit(run_training.main(sys.argv[2:]))
"""


def places(folder: Path) -> list[str]:
    return [f"run.runs_dir={folder / 'runs'}", f"run.checkpoints_dir={folder / 'checkpoints'}"]


def roll(how: str, folder: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", DRIVER, how, "--rolling", "2", *settings, *places(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=900)


def results(folder: Path) -> Path:
    (found,) = (path for path in folder.glob("runs/rolling_*") if path.is_dir())
    return found


@pytest.mark.ray
def test_a_killed_roll_goes_on_and_ends_with_the_record_of_an_undisturbed_one(tmp_path: Path) -> None:
    whole = roll("undisturbed", tmp_path / "whole", *TINY)
    assert whole.returncode == 0, whole.stderr
    assert "Traceback" not in whole.stderr
    killed = roll("killed", tmp_path / "killed", *TINY)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = roll("undisturbed", tmp_path / "killed", *TINY)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.count("complete already") == 1, "the first step is not trained anew"
    plain, again = (json.loads((results(tmp_path / name) / "rolling.json").read_text()) for name in ("whole", "killed"))
    for part in ("stitched", "buy_and_hold", "baselines", "verdict", "looks"):
        assert plain[part] == again[part]
    assert whole.stdout.splitlines()[:-1] == resumed.stdout.splitlines()[:-1]
    assert whole.stdout.splitlines()[-1] == f"page: {results(tmp_path / 'whole') / 'rolling.html'}"
    assert_adds_up(results(tmp_path / "whole"), plain)
    assert not (tmp_path / "whole" / "checkpoints").exists(), "no model of a step is taken for that of a whole run"


def assert_adds_up(folder: Path, plain: dict) -> None:
    """The record is what the accounts of the steps say, computed here by other means."""
    steps = [pd.read_parquet(folder / f"step_{place}" / "steps.parquet") for place in (1, 2)]
    assert [len(step) for step in steps] == [131, 131]
    growth = [step["equity"].iloc[-1] / 10_000.0 for step in steps]
    assert plain["stitched"]["total_return"] == pytest.approx(growth[0] * growth[1] - 1.0)
    returns = pd.concat([step["equity"].pct_change().fillna(0.0) for step in steps])
    assert plain["stitched"]["sharpe"] == pytest.approx(returns.mean() / returns.std() * np.sqrt(8766.0), rel=1e-3)
    curve = (1.0 + returns).cumprod()
    assert plain["stitched"]["max_drawdown"] == pytest.approx(float((1.0 - curve / curve.cummax()).max()))
    assert plain["bars"] == 262
    assert steps[0]["close_time"].iloc[-1] + 3_600_000 == steps[1]["close_time"].iloc[0]


@pytest.mark.ray
def test_what_comes_after_a_step_changes_nothing_about_it(tmp_path: Path) -> None:
    bars = load_bars("A4", tiny_config(tmp_path).data)
    set_environment_variables()
    folders = []
    for name, last in (("as it is", 1.0), ("other", 1.7)):
        factor = np.where(np.arange(1500) < 1369, 1.0, last)  # the first step ends there
        prices = {column: getattr(bars, column) * factor for column in ("open", "high", "low", "close")}
        folder = tmp_path / name
        folder.mkdir()
        frame = pd.DataFrame({"timestamp": bars.open_time, **prices, "volume": bars.volume})
        frame.to_parquet(folder / "bars.parquet")
        source = ["data.source=files", f"data.path='{folder / 'bars.parquet'}'"]
        with ray_session(tiny_config(folder).runtime):  # one for all steps
            assert main(["--rolling", "2", *TINY, *places(folder), *source]) == 0
        folders.append(results(folder))
    first, other = (pd.read_parquet(folder / "step_1" / "steps.parquet") for folder in folders)
    pd.testing.assert_frame_equal(first, other, check_exact=True)
    mine, theirs = (load_model(folder / "step_1" / "A4_stage_1_ppo.pth").weights for folder in folders)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    later = [load_model(folder / "step_2" / "A4_stage_1_ppo.pth").data_fingerprint for folder in folders]
    assert later[0] != later[1]


@pytest.mark.ray
@pytest.mark.slow
def test_champions_trade_with_the_verdict_of_the_gate(tmp_path: Path) -> None:
    stage = "sequence.stage_4_autonomous"
    caches = [f"{stage}.mind.{part}.cache_dir={tmp_path / 'cache'}" for part in ("regime", "pattern")]
    done = roll("undisturbed", tmp_path, *TINY_POPULATION, f"{stage}.generations=1", *caches)
    assert done.returncode == 0, done.stderr
    plain = json.loads((results(tmp_path) / "rolling.json").read_text())
    for place, step in enumerate(plain["steps"], start=1):
        file = load_model(results(tmp_path) / f"step_{place}" / "A4_autonomous_final.pth")
        assert step["promotion_verdict"] == file.verdict
        assert file.verdict in done.stdout
        assert file.split["test"]["rows"] == ([1238, 1369] if place == 1 else [1369, 1500])
        # The gate judged the champion on these very bars.
        assert file.dossier["promotion"]["sealed"]["sharpe"] == pytest.approx(step["performance"]["sharpe"], rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rolling", "0"], "--rolling must be >= 1, was 0"),
        (["--rolling", "500"], "too few for --rolling 500"),
        (["--rolling", "2", "sequence.stage_1_ppo.init_from=old.pth"], "is a model from outside"),
    ],
)
def test_impossible_rolls_are_refused(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--dry-run"]):
        assert main([*arguments, *more, *TINY, *places(tmp_path)]) == 2
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("error: ")
        assert says in message
        assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_each_step_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rolling", "2", "--dry-run", *TINY, *places(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "step_1 of 2: to trade 2000-02-21 to 2000-02-27, 131 bars" in said
    assert "step_2 of 2: to trade 2000-02-27 to 2000-03-03, 131 bars" in said
    assert said.count("stage_1_ppo: PPO, 2 iterations") == 2
    assert not list(tmp_path.iterdir())
