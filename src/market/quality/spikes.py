"""Moves of the price that are rarely news: outliers, and prices that are far off for a moment.

Every detector expects rows in order of time without repeats and with sound prices, and returns a mask (T,).
"""

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.market.quality.defects import CandleColumns, Mask, missing_before

OUTLIER_MADS = 40.0  # heavy tails are normal: real hourly crypto and daily equities reach 20 to 30
SPIKE_REVERT_FRAC = 0.2  # a spike is an outlier of which the next bar leaves at most this fraction

FAR = 9.0  # ten times, give or take what the market itself moved
LEVEL = 3.0  # before and after a spike the price is the same, give or take this factor
SPIKE_POINTS = 10  # of opens and closes, the longest spike: five bars
NEAR_POINTS = 20  # of opens and closes on each side, whose median is the level


def outliers(c: CandleColumns, step: int) -> Mask:
    """Mark rows whose close-to-close log-return exceeds `OUTLIER_MADS` robust standard deviations, (T,).

    Returns over gaps are scaled by the square root of the elapsed bars. The scale is 1.4826 times the median of the
    absolute returns that are not zero, since in thin markets most are.
    """
    log_close = np.log(c.prices[:, 3])
    scaled = np.abs(np.diff(log_close, prepend=log_close[0]))
    late = missing_before(c, step)
    gaps = np.flatnonzero(late)
    scaled[gaps] /= np.sqrt(1.0 + late[gaps])
    moving = scaled[scaled > 0]
    if moving.size == 0:
        return np.zeros(len(scaled), bool)
    return np.asarray(scaled > OUTLIER_MADS * 1.4826 * np.median(moving))


def spikes(c: CandleColumns, outlier: Mask) -> Mask:
    """Mark outliers (T,) that the next bar reverses, (T,): a sign of a bad tick rather than of news."""
    rows = np.flatnonzero(outlier[:-1])
    rows = rows[rows > 0]
    before, at, after = (np.log(c.prices[rows + shift, 3]) for shift in (-1, 0, 1))
    there, back = at - before, after - at
    marked = np.zeros(len(outlier), bool)
    marked[rows[np.abs(there + back) <= SPIKE_REVERT_FRAC * np.abs(there)]] = True
    return marked


def wide_bars(c: CandleColumns) -> Mask:
    """Mark rows whose high is ten times their low or more, (T,): a possible candle, and hardly a true one."""
    return np.asarray(c.prices[:, 1] >= 10 * c.prices[:, 2])


def tenfold_spikes(c: CandleColumns) -> Mask:
    """Mark rows whose open or close lies ten times above or below those around, which agree with each other, (T,).

    A lost decimal point does that, and up to `SPIKE_POINTS` opens and closes in a row are looked at. What comes first
    or last is not judged, since nothing tells whether it lasts.
    """
    opened, close = c.prices[:, 0], c.prices[:, 3]
    marked = np.zeros(len(c.open_time), bool)
    if not (_leaps(opened, close).any() or _leaps(close[:-1], opened[1:]).any()):
        return marked
    path = np.column_stack([opened, close]).ravel()  # (2T,)
    for point in _far_points(path):
        marked[point // 2] = True
    return marked


def _far_points(path: FloatArray) -> set[int]:
    far: set[int] = set()
    for before in np.flatnonzero(_leaps(path[:-1], path[1:])).tolist():
        jump = before + 1
        if jump in far:
            continue  # of a spike that is known
        first, stop = max(jump - NEAR_POINTS, 0), jump + NEAR_POINTS + 1
        ratio = path[first:stop] / np.median(path[first:stop])
        away = np.flatnonzero((ratio > FAR) | (ratio < 1 / FAR))
        for run in np.split(away, np.flatnonzero(np.diff(away) > 1) + 1) if away.size else ():
            if len(run) <= SPIKE_POINTS and _returns_to_level(ratio, run):
                far.update((first + run).tolist())
    return far


def _leaps(before: FloatArray, after: FloatArray) -> Mask:
    # Whether the price changes by the factor, without a division.
    return np.asarray((after > FAR * before) | (FAR * after < before))


def _returns_to_level(ratio: FloatArray, run: NDArray[np.intp]) -> bool:
    before, after = ratio[: run[0]], ratio[run[-1] + 1 :]
    if not before.size or not after.size:
        return False
    sides = np.array([before[-1], after[0]])
    return bool(((sides < LEVEL) & (sides > 1 / LEVEL)).all())
