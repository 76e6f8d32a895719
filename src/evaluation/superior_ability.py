"""Does any of many strategies beat a benchmark, or is the best of them the luckiest?

The reality check (White, Econometrica 68, 2000) and the test of superior predictive ability (Hansen, JBES 23, 2005), by
the stationary bootstrap over all strategies at once, so that what they have in common needs no correction. White
compares mean differences as they are, so volatile strategies hide steady ones, and counts hopeless strategies as
rivals; Hansen divides by long-run deviations, here estimated from the same resamples, and leaves the hopeless out.
`arch.bootstrap.SPA` gives the former as its upper p-value; its others do not divide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES, block_length, portions, stationary_rows
from src.market.bars import FloatArray


@dataclass(frozen=True)
class SuperiorAbility:
    """Probabilities that luck alone shows as much, if no strategy were better than the benchmark.

    Attributes:
        consistent: Hansen's, the one to quote.
        reality_check: White's.
    """

    consistent: float
    reality_check: float


def superior_ability(
    returns: FloatArray,
    benchmark: FloatArray,
    rng: np.random.Generator,
    draws: int = 1_000,
    block_bars: float | None = None,
) -> SuperiorAbility:
    """Test the best mean return of N strategies against a benchmark.

    Args:
        returns: per bar, (T, N).
        benchmark: per bar, (T,); zeros for staying out of the market.
        rng: draws the resamples.
        draws: resamples.
        block_bars: mean block length; the longest that any difference asks for when None.

    Raises:
        DataError: fewer than `SHORTEST_SERIES` bars, or a return that is not finite.
    """
    excess = returns - benchmark[:, None]  # (T, N)
    bars = len(excess)
    if bars < SHORTEST_SERIES or not np.isfinite(excess).all():
        raise DataError(f"superior ability needs >= {SHORTEST_SERIES} bars of finite returns, had {bars} bars")
    block = block_bars if block_bars is not None else max(block_length(column) for column in excess.T)
    mean = excess.mean(axis=0)
    drawn = (stationary_rows(bars, block, count, rng) for count in portions(draws, bars))
    resampled = np.concatenate([_resampled_means(excess, rows) for rows in drawn])  # (draws, N)
    deviation = resampled.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-15)
    hopeless = mean * scale < -np.sqrt(2.0 * np.log(np.log(bars)))
    centre = np.where(hopeless, 0.0, mean)  # the resamples of a hopeless one stay where it lies, far below the rest
    return SuperiorAbility(
        consistent=_share_as_good((resampled - centre) * scale, mean * scale),
        reality_check=_share_as_good(resampled - mean, mean),
    )


def _share_as_good(lucky: FloatArray, found: FloatArray) -> float:
    # Share of resamples (draws, N) whose best reaches the best found (N,); staying with the benchmark is a choice too.
    return float(np.mean(np.maximum(lucky.max(axis=1), 0.0) >= max(found.max(), 0.0)))


def _resampled_means(excess: FloatArray, rows: NDArray[np.int64]) -> FloatArray:
    # A resample's mean weighs each bar by how often it was drawn.
    bars = len(excess)
    times = np.stack([np.bincount(drawn, minlength=bars) for drawn in rows])  # (draws, T)
    means: FloatArray = times @ excess / bars
    return means
