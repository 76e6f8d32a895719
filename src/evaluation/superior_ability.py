"""Does any of many strategies beat a benchmark, or is the best of them the luckiest?

White's reality check (Econometrica 68, 2000) and Hansen's test of superior predictive ability (JBES 23, 2005), by the
stationary bootstrap over all strategies at once, so that what they have in common needs no correction. Differences are
divided by their long-run deviation, estimated from the same resamples; `arch.bootstrap.SPA` leaves them as they are,
which is the same where all strategies are equally volatile.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES, block_length, stationary_rows

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class SuperiorAbility:
    """Probabilities that luck alone shows as much, if no strategy were better than the benchmark.

    Attributes:
        lower: counts only strategies at least as good as the benchmark as rivals; too small in short samples.
        consistent: leaves out strategies that are certainly worse (Hansen). The one to quote.
        reality_check: counts every strategy as if it were as good as the benchmark (White); bad ones dilute it.
    """

    lower: float
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
    resampled = _resampled_means(excess, stationary_rows(bars, block, draws, rng))  # (draws, N)
    deviation = resampled.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-15)
    z = mean * scale
    certainly_worse = z < -np.sqrt(2.0 * np.log(np.log(bars)))

    def share_above(centre: FloatArray) -> float:
        # Resampled differences around `centre`; the best of them, floored at the benchmark itself, against our best.
        lucky = np.maximum(((resampled - centre) * scale).max(axis=1), 0.0)
        return float(np.mean(lucky >= max(z.max(), 0.0)))

    return SuperiorAbility(
        lower=share_above(np.maximum(mean, 0.0)),
        consistent=share_above(np.where(certainly_worse, 0.0, mean)),
        reality_check=share_above(mean),
    )


def _resampled_means(excess: FloatArray, rows: NDArray[np.int64]) -> FloatArray:
    # A resample's mean weighs each bar by how often it was drawn.
    bars = len(excess)
    times = np.stack([np.bincount(drawn, minlength=bars) for drawn in rows])  # (draws, T)
    means: FloatArray = times @ excess / bars
    return means
