"""Stationary bootstrap: how far a statistic of returns could lie from its estimate by luck alone.

Blocks of random length keep the dependence between neighbouring bars, and series resampled with the same rows keep the
dependence between each other, so two runs over the same bars can be compared by the difference of their statistics.

Politis and Romano, "The Stationary Bootstrap", JASA 89 (1994); block length after Politis and White (2004) with the
correction of Patton, Politis and White (2009).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.evaluation.variation import varies, why_no_sharpe
from src.market.bars import FloatArray

Statistic = Callable[..., FloatArray]  # one array (..., T) per series -> (...), or (..., S)

CELLS_AT_ONCE = 500_000  # resampled values held in memory at a time
SHORTEST_SERIES = 20  # below this an interval would only look like one


@dataclass(frozen=True)
class Interval:
    """A statistic and the range that holds its true value with probability `level`."""

    estimate: float
    low: float
    high: float
    level: float

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside the range."""
        return not self.low <= value <= self.high


def bootstrap_interval(
    series: tuple[FloatArray, ...],
    statistic: Statistic,
    rng: np.random.Generator,
    draws: int = 1_000,
    level: float = 0.95,
    block_bars: float | None = None,
) -> Interval:
    """Return the percentile interval of a statistic of one or several aligned series.

    Args:
        statistic: takes one array (..., T) per series and reduces the last axis.

    The others, and what is refused, are those of `bootstrap_intervals`.
    """

    def alone(*samples: FloatArray) -> FloatArray:
        return np.asarray(statistic(*samples))[..., None]

    return bootstrap_intervals(series, alone, rng, draws, level, block_bars)[0]


def bootstrap_intervals(
    series: tuple[FloatArray, ...],
    statistics: Statistic,
    rng: np.random.Generator,
    draws: int = 1_000,
    level: float = 0.95,
    block_bars: float | None = None,
) -> list[Interval]:
    """Return the percentile intervals of S statistics, all measured on the same resamples.

    Args:
        series: arrays of shape (T,), resampled with the same rows.
        statistics: takes one array (..., T) per series and turns the last axis into S values.
        draws: resamples.
        level: probability each interval should hold.
        block_bars: mean block length; chosen by `block_length` (the longest among the series) when None.

    Raises:
        DataError: fewer than `SHORTEST_SERIES` bars, or series of different lengths.
    """
    length = _common_length(series)
    block = block_bars if block_bars is not None else max(block_length(one) for one in series)
    values = []
    for count in portions(draws, length):
        rows = stationary_rows(length, block, count, rng)
        values.append(statistics(*(one[rows] for one in series)))
    tail = 50.0 * (1.0 - level)
    lows, highs = np.percentile(np.concatenate(values), [tail, 100.0 - tail], axis=0)  # (S,) each
    estimates = statistics(*series)
    return [
        Interval(float(estimate), float(low), float(high), level)
        for estimate, low, high in zip(estimates, lows, highs, strict=True)
    ]


def sharpe_interval(
    returns: FloatArray, bars_per_year: float, rng: np.random.Generator, draws: int = 1_000, level: float = 0.95
) -> Interval | None:
    """Return the interval of the annual Sharpe ratio of returns (T,); None if they have none or are too few."""
    if len(returns) < SHORTEST_SERIES or why_no_sharpe(returns):
        return None

    def annual(sample: FloatArray) -> FloatArray:
        return sharpe_ratios(sample) * float(np.sqrt(bars_per_year))

    return bootstrap_interval((returns,), annual, rng, draws, level)


def sharpe_ratios(returns: FloatArray) -> FloatArray:
    """Return the Sharpe ratio per bar along the last axis, (..., T) -> (...); 0 for a resample that hardly varies.

    A resample that drew only idle bars earned nothing at no risk, and one that drew only interest says nothing of risk;
    0 keeps both on the sceptical side.
    """
    mean, deviation = returns.mean(axis=-1), returns.std(axis=-1, ddof=1)
    ratio: FloatArray = np.divide(mean, deviation, out=np.zeros_like(mean), where=varies(mean, deviation))
    return ratio


def stationary_rows(length: int, block_bars: float, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return rows of `draws` resamples, (draws, T): wrapping blocks of geometric length with mean `block_bars`."""
    if not block_bars >= 1:
        raise DataError(f"block_bars must be >= 1, was {block_bars}")
    starts = rng.random((draws, length)) < 1.0 / block_bars
    starts[:, 0] = True
    here = np.arange(length)
    begin = np.maximum.accumulate(np.where(starts, here, 0), axis=1)  # column at which the current block began
    first = rng.integers(length, size=(draws, length))  # row a block begins with, used where one begins
    rows: NDArray[np.int64] = (np.take_along_axis(first, begin, axis=1) + here - begin) % length
    return rows


def block_length(returns: FloatArray) -> float:
    """Return the automatic mean block length in bars of one series (T,), within [1, T / 3]; 1 for a constant one."""
    from arch.bootstrap import optimal_block_length  # takes a fifth of what a bot needs to start, and few come here

    if np.ptp(returns) <= 1e-14:
        return 1.0
    chosen = float(optimal_block_length(returns)["stationary"].iloc[0])
    return float(np.clip(chosen, 1.0, len(returns) / 3.0)) if np.isfinite(chosen) else 1.0


def _common_length(series: tuple[FloatArray, ...]) -> int:
    lengths = {len(one) for one in series}
    if len(lengths) != 1:
        raise DataError(f"bootstrap series must have one length, were {[len(one) for one in series]}")
    length = lengths.pop()
    if length < SHORTEST_SERIES:
        raise DataError(f"a bootstrap needs at least {SHORTEST_SERIES} bars, was {length}")
    return length


def portions(draws: int, length: int) -> list[int]:
    """Return how many resamples of so many bars to hold at a time, until all are drawn."""
    size = max(1, CELLS_AT_ONCE // length)
    return [min(size, draws - done) for done in range(0, draws, size)]
