"""How much two runs over the same bars differ, and whether luck could explain it.

Every resample takes the same rows of all runs, so that what moves them together cancels in the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.evaluation.bootstrap import Interval, bootstrap_intervals, sharpe_ratios
from src.market.bars import FloatArray


@dataclass(frozen=True)
class Difference:
    """A run less the first one, with intervals by the paired stationary bootstrap.

    Attributes:
        mean_return: of the simple returns per bar, times bars per year.
        sharpe: of the annual Sharpe ratios; without variance, as of an account that never traded, it counts as 0.
    """

    mean_return: Interval
    sharpe: Interval


def differences_from_first(
    returns: Sequence[FloatArray],
    bars_per_year: float,
    rng: np.random.Generator,
    draws: int = 1_000,
    level: float = 0.95,
) -> list[Difference]:
    """Return how each run after the first differs from it.

    Args:
        returns: at least two runs' simple returns per bar, (T,) each, over the same bars.

    Raises:
        DataError: fewer bars than an interval needs, or runs of different lengths.
    """
    assert len(returns) >= 2, "a difference needs two runs"

    def less_the_first(*samples: FloatArray) -> FloatArray:
        means = np.stack([sample.mean(axis=-1) for sample in samples], axis=-1) * bars_per_year  # (..., K)
        sharpes = np.stack([sharpe_ratios(sample) for sample in samples], axis=-1) * np.sqrt(bars_per_year)
        less = [values[..., 1:] - values[..., :1] for values in (means, sharpes)]
        return np.concatenate(less, axis=-1)  # (..., 2 (K - 1))

    intervals = bootstrap_intervals(tuple(returns), less_the_first, rng, draws, level)
    others = len(returns) - 1
    return [Difference(*pair) for pair in zip(intervals[:others], intervals[others:], strict=True)]
