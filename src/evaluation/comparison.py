"""How much two runs over the same bars differ, and whether luck could explain it.

Every resample takes the same rows of all runs, so that what moves them together cancels in the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.evaluation.bootstrap import Interval, bootstrap_intervals, sharpe_ratios
from src.evaluation.overfitting import backtest_overfitting
from src.evaluation.superior_ability import superior_ability
from src.market.bars import FloatArray

_BARS_TO_HALVE = 200  # fewer make pieces of a dozen bars


@dataclass(frozen=True)
class Difference:
    """A run less the first one, with intervals by the paired stationary bootstrap.

    Attributes:
        mean_return: of the simple returns per bar, times bars per year.
        sharpe: of the annual Sharpe ratios; without variance, as of an account that never traded, it counts as 0.
    """

    mean_return: Interval
    sharpe: Interval


@dataclass(frozen=True)
class BestOfMany:
    """How much of the best of several runs is that it was chosen among them.

    Attributes:
        luck: probability that the best would be as far ahead of the first by luck, were none better than it, by mean
            return (Hansen's test of superior predictive ability).
        overfitting: probability that what is best on one half of the bars is in the lower half of all on the other, by
            Sharpe ratio; None for too few bars.
    """

    luck: float
    overfitting: float | None


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


def best_of_many(returns: Sequence[FloatArray], rng: np.random.Generator) -> BestOfMany | None:
    """Return what choosing the best of the runs after the first amounts to; None where there is only one.

    Args:
        returns: simple returns per bar, (T,) each, over the same bars.
        rng: draws the resamples.

    Raises:
        DataError: fewer bars than a bootstrap needs.
    """
    if len(returns) < 3:
        return None
    first, *others = returns
    together = np.column_stack(returns)
    return BestOfMany(
        luck=superior_ability(np.column_stack(others), first, rng).consistent,
        overfitting=backtest_overfitting(together).probability if len(together) >= _BARS_TO_HALVE else None,
    )
