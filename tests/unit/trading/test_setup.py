"""Rows and rules from settings: warmed up, in order, and blind to what comes after training."""

import numpy as np
import pytest

from src.config.data import SplitConfig
from src.config.load import load_training_config
from src.errors import DataError
from src.features.pipeline import FeaturePipeline
from src.trading.setup import make_setup, split_bars
from tests.support.random_bars import concatenate, random_bars

CONFIG = load_training_config(
    [
        "features.names=[returns,volatility]",
        "model.core.window=8",
        "~sequence.stage_2_moe",
        "~sequence.stage_3_maml",
        "~sequence.stage_4_autonomous",
    ]
)


def test_the_first_row_has_its_whole_window_of_features() -> None:
    bars = random_bars(1_000)
    setup = make_setup(CONFIG, bars)
    warmup = FeaturePipeline(["returns", "volatility"], CONFIG.features.clip).warmup_bars
    assert setup.splits.all == range(warmup + 7, 1_000)
    assert setup.pipeline.warmup_bars == warmup
    assert setup.pipeline.scaler is None


def test_rules_know_the_volatility_of_the_training_split_and_nothing_later() -> None:
    bars = random_bars(1_000)
    setup = make_setup(CONFIG, bars)
    train = setup.splits.train
    moves = np.diff(np.log(bars.close[train.start : train.stop]))
    assert setup.rules.bar_volatility == pytest.approx(float(moves.std()), rel=1e-12)
    wild = random_bars(1_000, seed=1, sigma=0.2)
    changed = concatenate([bars[: train.stop], wild[train.stop :]])
    assert make_setup(CONFIG, changed).rules == setup.rules


def test_bars_that_do_not_outlast_the_warm_up_are_refused() -> None:
    assert split_bars(random_bars(101), 50, SplitConfig(0.6, 0.0, embargo_bars=1)).all == range(50, 101)
    with pytest.raises(DataError, match="TEST: 50 bars do not cover the 50 bars of warm-up"):
        split_bars(random_bars(50), 50, SplitConfig())
