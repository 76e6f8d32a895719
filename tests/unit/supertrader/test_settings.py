"""Settings as a notebook writes them mean what they mean on the command line."""

from pathlib import Path

import pytest

from src.config.load import load_training_config
from src.config.stages.learning import Sampling
from supertrader.settings import overrides


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 7),
        ("symbol", "BTC/USDT"),
        ("costs.commission_bps", 2.5),
        ("costs.commission_bps", 1e-3),
        ("tracking.tensorboard", False),
        ("data.timeframe", None),
        ("data.path", "it's a {symbol}, with=signs: and \\ [brackets].csv"),
        ("data.path", "back\\'slashes\\\\"),
        ("data.start", "2015-01-01"),
        ("data.columns", {"open_time": "Gmt time", "close": "Last, adjusted"}),
        ("features.names", ["returns", "rsi"]),
        ("environment.action.grid", [-1.0, 0.0, 1.0]),
    ],
)
def test_a_value_arrives_as_it_was_given(name: str, value: object) -> None:
    settings: object = load_training_config(overrides({name: value}))
    for part in name.split("."):
        settings = getattr(settings, part)
    assert settings == value
    assert type(settings) is type(value)


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
