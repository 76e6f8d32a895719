"""A feature of your own: how far the close is from what was paid on average over the last bars, weighted by volume.

    python run_training.py "plugins=[examples.my_feature]" "features.names=[returns,volatility,paid_deviation]"

Or write both lines into config/training_sequence.yaml. docs/howto/own_feature.md explains every part.
"""

from collections.abc import Sequence

import numpy as np

from src.features.base import Feature
from src.market.bars import BarSeries, FloatArray

BARS = 20
LEAST_VOLUME = 1e-12  # a market without volume counts every bar alike


def paid_deviation(bars: BarSeries) -> Sequence[FloatArray]:
    """Return log close minus the volume-weighted mean of the log prices of the last bars, one column of shape (T,)."""
    prices = (np.log(bars.high) + np.log(bars.low) + np.log(bars.close)) / 3
    volume = np.maximum(bars.volume, LEAST_VOLUME)
    return [np.log(bars.close) - trailing_sum(prices * volume) / trailing_sum(volume)]


def trailing_sum(values: FloatArray) -> FloatArray:
    """Return the sum of each value and the BARS - 1 before it, (T,)."""
    return np.convolve(values, np.ones(BARS))[: len(values)]


# Found because it is a Feature at the top level of a module named under `plugins`.
PAID_DEVIATION = Feature(
    name="paid_deviation",
    columns=("paid_deviation",),
    lookback_bars=BARS,  # bars that decide a value: what a live bot has to hold
    warmup_bars=BARS - 1,  # rows at the start without a full window
    formula=paid_deviation,
    odd=("paid_deviation",),  # changes sign where the market is turned upside down
)
