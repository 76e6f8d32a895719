"""Settings as a notebook writes them mean what they mean on the command line."""

import os
from pathlib import Path

import pytest

from src.config.load import load_training_config
from src.config.stages.learning import Sampling
from supertrader import settings
from supertrader.settings import overrides

AWKWARD = "it's a {symbol}, with=signs: and \\ [brackets], back\\'slashes\\\\"
VALUES: dict[str, object] = {
    "seed": 7,
    "symbol": "BTC/USDT",
    "costs.commission_bps": 2.5,
    "costs.impact": 1e-3,
    "tracking.tensorboard": False,
    "data.timeframe": None,
    "data.path": AWKWARD,
    "data.start": "2015-01-01",
    "data.columns": {"open_time": "Gmt time", "close": "Last, adjusted"},
    "features.names": ["returns", "rsi"],
    "environment.action.grid": [-1.0, 0.0, 1.0],
}


def test_values_arrive_as_they_were_given() -> None:
    config = load_training_config(overrides(VALUES))
    for name, value in VALUES.items():
        setting: object = config
        for part in name.split("."):
            setting = getattr(setting, part)
        assert setting == value, name
        assert type(setting) is type(value), name


def test_paths_and_choices_are_written_as_text() -> None:
    changes = {"data.path": Path("some/where.csv"), "sequence.stage_1_ppo.sampling": Sampling.reference}
    config = load_training_config(overrides(changes))
    assert config.data.path == "some/where.csv"
    assert config.sequence["stage_1_ppo"].sampling is Sampling.reference  # type: ignore[attr-defined]


def test_none_leaves_a_stage_out() -> None:
    config = load_training_config(overrides({"sequence.stage_2_moe": None}))
    assert list(config.sequence) == ["stage_1_ppo", "stage_3_maml", "stage_4_autonomous"]


def test_words_of_the_command_line_are_taken_as_they_are() -> None:
    assert overrides(["seed=1", "~sequence.stage_2_moe"]) == ["seed=1", "~sequence.stage_2_moe"]
    assert overrides("seed=1") == ["seed=1"]


def test_settings_win_over_the_experiment() -> None:
    config = load_training_config(overrides({"model.core.window": 24}, experiment="smoke"))
    assert (config.model.core.window, config.model.core.d_model) == (24, 8)


def test_settings_are_read_once_and_anew_when_a_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "training_sequence.yaml"
    file.write_text("")
    monkeypatch.setattr(settings, "CONFIG_DIR", tmp_path)
    first = settings.load(["seed=3"])
    assert settings.load(["seed=3"]) is first
    assert settings.load(["seed=4"]).seed == 4
    os.utime(file, (1, 1))
    again = settings.load(["seed=3"])
    assert again is not first
    assert again == first
