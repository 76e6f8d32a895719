"""`run_training.py --rolling` as a user calls it: one record, killed or not, that knows nothing of what comes later."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from run_training import main
from src.agents.model_file import load_model
from src.market.sources import load_bars
from tests.support.killed_training import Ended, train
from tests.support.tiny_training import AUTONOMOUS, autonomous_settings, tiny_config, tiny_settings


def roll(command: list[str], address: str, death: str | None = None) -> Ended:
    return train(["--rolling", "2", *command], death, ray_address=address, has_workers=False)


def results(folder: Path) -> Path:
    (found,) = (path for path in folder.glob("runs/rolling_*") if path.is_dir())
    return found


@pytest.mark.ray
def test_a_killed_roll_goes_on_and_ends_with_the_record_of_an_undisturbed_one(ray_session: str, tmp_path: Path) -> None:
    whole = roll(tiny_settings(tmp_path / "whole"), ray_session)
    assert whole.code == 0, whole.err
    assert "Traceback" not in whole.err
    killed = roll(tiny_settings(tmp_path / "killed"), ray_session, death="second step begun")
    assert killed.code == -signal.SIGKILL, killed.err
    resumed = roll(tiny_settings(tmp_path / "killed"), ray_session)
    assert resumed.code == 0, resumed.err
    assert resumed.err.count("complete already") == 1, "the first step is not trained anew"
    plain, again = (json.loads((results(tmp_path / name) / "rolling.json").read_text()) for name in ("whole", "killed"))
    for part in ("stitched", "buy_and_hold", "baselines", "verdict", "looks"):
        assert plain[part] == again[part]
    assert whole.out.splitlines()[:-1] == resumed.out.splitlines()[:-1]
    assert whole.out.splitlines()[-1] == f"page: {results(tmp_path / 'whole') / 'rolling.html'}"
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
    assert steps[0]["close_time"].iloc[-1] + pd.Timedelta("1h") == steps[1]["close_time"].iloc[0]


@pytest.mark.ray
@pytest.mark.usefixtures("ray_session")
def test_what_comes_after_a_step_changes_nothing_about_it(tmp_path: Path) -> None:
    bars = load_bars("A4", tiny_config(tmp_path).data)
    folders = []
    for name, last in (("as it is", 1.0), ("other", 1.7)):
        factor = np.where(np.arange(1500) < 1369, 1.0, last)  # the first step ends there
        prices = {column: getattr(bars, column) * factor for column in ("open", "high", "low", "close")}
        folder = tmp_path / name
        folder.mkdir()
        frame = pd.DataFrame({"timestamp": bars.open_time, **prices, "volume": bars.volume})
        frame.to_parquet(folder / "bars.parquet")
        source = ["data.source=files", f"data.path='{folder / 'bars.parquet'}'"]
        assert main(["--rolling", "2", *tiny_settings(folder), *source]) == 0
        folders.append(results(folder))
    first, other = (pd.read_parquet(folder / "step_1" / "steps.parquet") for folder in folders)
    pd.testing.assert_frame_equal(first, other, check_exact=True)
    mine, theirs = (load_model(folder / "step_1" / "A4_stage_1_ppo.pth").weights for folder in folders)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    later = [load_model(folder / "step_2" / "A4_stage_1_ppo.pth").data_fingerprint for folder in folders]
    assert later[0] != later[1]


@pytest.mark.ray
@pytest.mark.slow
def test_champions_trade_with_the_verdict_of_the_gate(ray_session: str, tmp_path: Path) -> None:
    done = roll(autonomous_settings(tmp_path, f"{AUTONOMOUS}.generations=1"), ray_session)
    assert done.code == 0, done.err
    plain = json.loads((results(tmp_path) / "rolling.json").read_text())
    for place, step in enumerate(plain["steps"], start=1):
        file = load_model(results(tmp_path) / f"step_{place}" / "A4_autonomous_final.pth")
        assert step["promotion_verdict"] == file.verdict
        assert file.verdict in done.out
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
        assert main([*arguments, *more, *tiny_settings(tmp_path)]) == 2
        message = capsys.readouterr().err.strip().splitlines()[-1]
        assert message.startswith("error: ")
        assert says in message
        assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_each_step_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rolling", "2", "--dry-run", *tiny_settings(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "step_1 of 2: to trade 2000-02-21 to 2000-02-27, 131 bars" in said
    assert "step_2 of 2: to trade 2000-02-27 to 2000-03-03, 131 bars" in said
    assert said.count("stage_1_ppo: PPO, 2 iterations") == 2
    assert not list(tmp_path.iterdir())
