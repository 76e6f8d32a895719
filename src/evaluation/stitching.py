"""`stitch`: accounts that traded one stretch after the other, as one record.

Each began flat with fresh money, so not their equity but their returns are laid end to end. The bar on which an account
opens earns nothing: what the market did between two stretches is in no account.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.evaluation.bootstrap import Interval, sharpe_interval
from src.evaluation.returns import ReturnMetrics, return_metrics

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Stitched:
    """One record of several accounts.

    Attributes:
        equity: (T,) chained from 1.
        metrics: of that equity. sharpe_interval: of its returns; None without variance or for too few bars.
    """

    equity: FloatArray
    metrics: ReturnMetrics
    sharpe_interval: Interval | None


def stitch(stretches: Sequence[FloatArray], bars_per_year: float, rng: np.random.Generator) -> Stitched:
    """Chain the simple returns a bar of each stretch, in order of time; `rng` draws the resamples."""
    returns = np.concatenate(stretches)
    growth = 1.0 + np.maximum(returns, -1.0)  # nobody lends to an account that is gone
    equity: FloatArray = np.cumprod(growth, dtype=np.float64)
    return Stitched(equity, return_metrics(equity, bars_per_year, 1.0), sharpe_interval(returns, bars_per_year, rng))
