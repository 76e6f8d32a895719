"""Detectors of defective market data: each answers which rows, and never changes any.

A detector sees `CandleColumns` of T rows and, unless it says otherwise, returns a mask (T,). Detectors of single rows
and of order work on the file as it is. Detectors of the path (gaps, stale prices, outliers, volume) expect rows in
order of time without repeats.
What a defect leads to is decided in `quality.py`.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import PRICE_COLUMNS, FloatArray, TimeArray

Mask = NDArray[np.bool_]

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
STALE_RUN = 5  # bars with the same four prices in a row before the feed is called stale
OUTLIER_MADS = 40.0  # heavy tails are normal: real hourly crypto and daily equities reach 20 to 30
SWAPPED_FRAC = 0.1  # impossible candles, from which on another order of columns is suspected
SPIKE_REVERT_FRAC = 0.2  # a spike is an outlier of which the next bar leaves at most this fraction
VOLUME_BLOCK = 100  # bars per median; a switch must hold for five blocks on both sides


class CandleColumns(NamedTuple):
    """A raw frame as arrays."""

    open_time: TimeArray  # (T,) UTC milliseconds
    prices: FloatArray  # (T, 4) open, high, low, close
    volume: FloatArray  # (T,)
    grid_time: TimeArray  # (T,) open_time, or where the bar stands on an even grid (`understanding.Reading`)

    def at(self, rows: "NDArray[np.intp] | Mask") -> "CandleColumns":
        """Return the columns at `rows`, positions (R,) or a mask (T,)."""
        return CandleColumns(self.open_time[rows], self.prices[rows], self.volume[rows], self.grid_time[rows])


def candle_columns(frame: pd.DataFrame) -> CandleColumns:
    """Return the canonical columns of a raw frame; raise `DataError` if one is missing."""
    names = ("open_time", *PRICE_COLUMNS, "volume")
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(f"columns {missing} are missing; name them with data.columns. Found: {list(frame.columns)}")
    prices = frame[list(PRICE_COLUMNS)].to_numpy(np.float64)
    opened = frame["open_time"].to_numpy(np.int64)
    grid = frame["grid_time"].to_numpy(np.int64) if "grid_time" in frame.columns else opened
    return CandleColumns(opened, prices, frame["volume"].to_numpy(np.float64), grid)


def common_step(open_time: TimeArray) -> int:
    """Return the most common distance between consecutive distinct times (T,), in milliseconds."""
    ordered = open_time if (np.diff(open_time) > 0).all() else np.sort(open_time)
    steps = np.diff(ordered)
    steps = steps[steps > 0]
    if steps.size == 0:
        raise DataError(f"{steps.size + 1} bar(s) found, at least 2 are needed to tell their length")
    lengths, counts = np.unique(steps, return_counts=True)
    return int(lengths[np.argmax(counts)])


# --- rows and order, on the file as it is ---------------------------------------------------------------------------


def is_newest_first(c: CandleColumns) -> bool:
    """Say whether time never rises from the first row to the last."""
    steps = np.diff(c.open_time)
    return bool(steps.size) and bool((steps <= 0).all()) and bool((steps < 0).any())


def out_of_order(c: CandleColumns) -> Mask:
    """Mark rows that are earlier than the row before them, (T,)."""
    backwards: Mask = np.diff(c.open_time, prepend=c.open_time[0]) < 0
    return backwards


def exact_duplicates(c: CandleColumns) -> Mask:
    """Mark rows that equal an earlier row in every column, (T,); two missing values are equal."""
    if (np.diff(c.open_time) > 0).all():  # the usual case, and much cheaper than comparing rows
        return np.zeros(len(c.open_time), bool)
    values = np.column_stack([c.prices, c.volume])
    return pd.DataFrame(values).assign(time=c.open_time).duplicated().to_numpy()


def repeated_times(c: CandleColumns) -> Mask:
    """Mark rows whose time an earlier row has, (T,). Those that are no exact duplicates contradict each other."""
    return pd.Series(c.open_time).duplicated().to_numpy()


def bad_prices(c: CandleColumns) -> Mask:
    """Mark rows with a price that is missing, infinite, zero or negative, (T,)."""
    return np.asarray(~(np.isfinite(c.prices) & (c.prices > 0)).all(axis=1))


def bad_volumes(c: CandleColumns) -> Mask:
    """Mark rows whose volume is missing, infinite or negative, (T,)."""
    return np.asarray(~(np.isfinite(c.volume) & (c.volume >= 0)))


def impossible_candles(c: CandleColumns) -> Mask:
    """Mark rows whose high or low does not contain the other prices, (T,); a row with a missing price is not marked."""
    opened, high, low, close = c.prices.T
    outside = (high < np.maximum(opened, close)) | (low > np.minimum(opened, close)) | (high < low)
    return np.asarray(outside & np.isfinite(c.prices).all(axis=1))


def swapped_columns(c: CandleColumns) -> str:
    """Say which columns hold highs and lows if many candles are impossible and another order mends all, else ''."""
    if impossible_candles(c).mean() < SWAPPED_FRAC:
        return ""
    sound = c.prices[np.isfinite(c.prices).all(axis=1)]
    highs = [name for name, column in zip(PRICE_COLUMNS, sound.T, strict=True) if (column == sound.max(axis=1)).all()]
    lows = [name for name, column in zip(PRICE_COLUMNS, sound.T, strict=True) if (column == sound.min(axis=1)).all()]
    if not highs or not lows or highs == lows:
        return ""
    return f"the column read as '{highs[0]}' always holds the highest price and '{lows[0]}' the lowest"


def off_grid(c: CandleColumns, step: int) -> Mask:
    """Mark rows whose time is not a whole number of bars away from most others, (T,)."""
    phases, which, counts = np.unique(c.grid_time % step, return_inverse=True, return_counts=True)
    return np.asarray(phases[which] != phases[np.argmax(counts)])


def not_closed(c: CandleColumns, step: int, now_ms: int | None) -> Mask:
    """Mark rows whose bar has not closed at `now_ms`, (T,); none if the time is unknown."""
    return np.zeros(len(c.open_time), bool) if now_ms is None else c.open_time + step > now_ms


# --- the path: rows in order of time, no repeats --------------------------------------------------------------------


def missing_before(c: CandleColumns, step: int) -> NDArray[np.int64]:
    """Return how many bars are missing between each row and the row before it, (T,)."""
    bars_since: TimeArray = np.diff(c.grid_time, prepend=c.grid_time[0] - step) // step
    return np.maximum(bars_since - 1, 0)


def stale(c: CandleColumns) -> Mask:
    """Mark rows that repeat all four prices of the row before, in runs of at least `STALE_RUN` equal rows, (T,)."""
    repeats = np.zeros(len(c.open_time), bool)
    repeats[1:] = (c.prices[1:] == c.prices[:-1]).all(axis=1)
    run = np.cumsum(~repeats)
    return np.asarray(repeats & (np.bincount(run)[run] >= STALE_RUN))


def outliers(c: CandleColumns, step: int) -> Mask:
    """Mark rows whose close-to-close log-return exceeds `OUTLIER_MADS` robust standard deviations, (T,).

    Returns over gaps are scaled by the square root of the elapsed bars. The scale is 1.4826 times the median of the
    absolute returns that are not zero, since in thin markets most are.
    """
    scaled = np.abs(_log_returns(c)) / np.sqrt(1.0 + missing_before(c, step))
    moving = scaled[scaled > 0]
    if moving.size == 0:
        return np.zeros(len(scaled), bool)
    return np.asarray(scaled > OUTLIER_MADS * 1.4826 * np.median(moving))


def spikes(c: CandleColumns, step: int) -> Mask:
    """Mark outliers that the next bar reverses, (T,): a sign of a bad tick rather than of news."""
    returns = _log_returns(c)
    kept = np.abs(returns + np.append(returns[1:], np.inf))
    return np.asarray(outliers(c, step) & (kept <= SPIKE_REVERT_FRAC * np.abs(returns)))


def clock_changes(times: TimeArray, repeated: TimeArray, step: int) -> TimeArray:
    """Return the nights (M,) that show daylight saving: an hour occurs twice in autumn, or is missing in spring.

    Looks at the Sundays on which European and American clocks change. The times of such a file are local: half of the
    year is an hour off, though all its times are on the grid.

    Args:
        times: (T,) distinct, in order.
        repeated: (R,) times that occur more than once.
        step: bar length; longer bars than an hour cannot show it.
    """
    if step > HOUR_MS:
        return np.empty(0, np.int64)
    autumn = repeated[_is_change_night(repeated, {10: "last", 11: "first"})]
    gap_after = times[:-1][np.diff(times) == step + HOUR_MS]
    spring = gap_after[_is_change_night(gap_after + step, {3: "last or second"})]
    if not autumn.size and len(spring) < 2:  # one missing hour may be an outage
        return np.empty(0, np.int64)
    return np.unique(np.concatenate([autumn, spring]) // DAY_MS * DAY_MS)


def _is_change_night(times: TimeArray, months: dict[int, str]) -> Mask:
    when = pd.DatetimeIndex(times.astype("datetime64[ms]"))
    day, days = when.day.to_numpy(), when.days_in_month.to_numpy()
    which = {"last": day > days - 7, "first": day <= 7, "last or second": (day > days - 7) | ((day > 7) & (day <= 14))}
    in_month = np.zeros(len(times), bool)
    for month, rule in months.items():
        in_month |= (when.month.to_numpy() == month) & which[rule]
    return np.asarray(in_month & (when.day_of_week.to_numpy() == 6) & (when.hour.to_numpy() < 4))


def volume_switches(c: CandleColumns) -> NDArray[np.intp]:
    """Return the rows (M,) at which volume changes for good by the factor of the price: its unit became quote, or base.

    Compares the median log-volume of five blocks of bars on both sides of each block boundary. Prices between 1/50
    and 50 cannot show a switch, since volume itself moves by such factors.
    """
    traded = np.flatnonzero((c.volume > 0) & np.isfinite(c.volume))
    blocks = len(traded) // VOLUME_BLOCK
    if blocks < 10:
        return np.empty(0, np.intp)
    rows = traded[: blocks * VOLUME_BLOCK]
    levels = np.median(np.log(c.volume[rows]).reshape(blocks, -1), axis=1)
    price = np.abs(np.median(np.log(c.prices[rows, 3]).reshape(blocks, -1), axis=1))
    sides = np.median(np.lib.stride_tricks.sliding_window_view(levels, 5), axis=1)
    jump = np.abs(sides[5:] - sides[:-5])  # at the boundary before block 5, 6, ...
    factor = price[5 : 5 + len(jump)]
    suspect = np.flatnonzero((factor > np.log(50)) & (np.abs(jump - factor) < 0.3 * factor))
    # Medians make a plateau of suspects around each switch, which lies in its middle.
    stretches = np.split(suspect, np.flatnonzero(np.diff(suspect) > 2) + 1) if suspect.size else []
    return np.array([_sharpest(c, rows, int(np.median(stretch)) + 5) for stretch in stretches], np.intp)


def _sharpest(c: CandleColumns, rows: NDArray[np.intp], block: int) -> int:
    # The row near a block boundary that best splits log-volume into two levels.
    near = rows[(block - 2) * VOLUME_BLOCK : (block + 2) * VOLUME_BLOCK]
    log_volume = np.log(c.volume[near])
    left = np.arange(1, len(near))
    sums = np.cumsum(log_volume)[:-1]
    between = sums / left - (log_volume.sum() - sums) / (len(near) - left)
    return int(near[1 + np.argmax(between**2 * left * (len(near) - left))])


def _log_returns(c: CandleColumns) -> FloatArray:
    close = np.log(c.prices[:, 3])
    return np.diff(close, prepend=close[0])
