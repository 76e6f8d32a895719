"""A prepared market: which rows may be decided on."""

import numpy as np
import pytest

from src.config.trading import CostsConfig
from src.errors import DataError
from src.execution.tape import build_tape
from src.features.pipeline import FeaturePipeline
from src.trading.prepared_market import prepare_market
from tests.support.random_bars import random_bars

BARS = random_bars(400, seed=0)
PIPELINE = FeaturePipeline(["returns", "volatility"], clip=6.0).fit([(BARS, range(200, 300))])


def test_features_and_tape_are_those_of_the_whole_series() -> None:
    market = prepare_market(BARS, PIPELINE, CostsConfig(), range(250, 300))

    assert np.array_equal(market.features, PIPELINE.transform(BARS))
    assert np.array_equal(market.tape.slippage, build_tape(BARS, CostsConfig()).slippage)
    assert market.rows == range(250, 300)
    assert market.bars is BARS


def test_warm_up_and_the_bar_after_which_nothing_fills_are_left_out() -> None:
    assert prepare_market(BARS, PIPELINE, CostsConfig(), range(400)).rows == range(PIPELINE.warmup_bars, 399)


def test_a_series_that_is_all_warm_up_is_refused() -> None:
    with pytest.raises(DataError, match=r"TEST: no row of range\(0, 5\) .* use a longer series"):
        prepare_market(BARS, PIPELINE, CostsConfig(), range(5))
