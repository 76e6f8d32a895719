"""Detectors of defective market data: each answers which rows, and never changes any.

A detector sees `CandleColumns` of T rows and, unless it says otherwise, returns a mask (T,). Detectors of single rows
and of order work on the file as it is. Detectors of the path (gaps, stale prices, volume) expect rows in order of time
without repeats. What a defect leads to is decided in `verdict.py`.
Elsewhere: moves of the price (`spikes.py`, `split_jumps.py`), the length of bars (`bar_lengths.py`).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import PRICE_COLUMNS, FloatArray, TimeArray

Mask = NDArray[np.bool_]

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
STALE_RUN = 5  # bars with the same four prices in a row before the feed is called stale
SWAPPED_FRAC = 0.1  # impossible candles, from which on another order of columns is suspected
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
    prices = np.stack([frame[name].to_numpy(np.float64) for name in PRICE_COLUMNS]).T  # each column lies in one piece
    opened = frame["open_time"].to_numpy(np.int64)
    return CandleColumns(opened, prices, frame["volume"].to_numpy(np.float64), grid_times(frame))


def grid_times(frame: pd.DataFrame) -> TimeArray:
    """Return where bars of a raw frame stand on an even grid, (T,): their opening times, unless it says otherwise."""
    times: TimeArray = frame["grid_time" if "grid_time" in frame.columns else "open_time"].to_numpy(np.int64)
    return times


# --- rows and order, on the file as it is ---------------------------------------------------------------------------


def is_rising(times: TimeArray) -> bool:
    """Say whether times (T,) rise from each row to the next, which spares much looking."""
    return bool((times[1:] > times[:-1]).all())


def is_newest_first(c: CandleColumns) -> bool:
    """Say whether time never rises from the first row to the last."""
    steps = np.diff(c.open_time)
    return bool(steps.size) and bool((steps <= 0).all()) and bool((steps < 0).any())


def out_of_order(c: CandleColumns) -> Mask:
    """Mark rows that are earlier than the row before them, (T,)."""
    backwards = np.zeros(len(c.open_time), bool)
    backwards[1:] = c.open_time[1:] < c.open_time[:-1]
    return backwards


def exact_duplicates(c: CandleColumns) -> Mask:
    """Mark rows that equal an earlier row in every column, (T,); two missing values are equal."""
    if is_rising(c.open_time):
        return np.zeros(len(c.open_time), bool)
    values = np.column_stack([c.prices, c.volume])
    return pd.DataFrame(values).assign(time=c.open_time).duplicated().to_numpy()


def repeated_times(c: CandleColumns) -> Mask:
    """Mark rows whose time an earlier row has, (T,). Those that are no exact duplicates contradict each other."""
    if is_rising(c.open_time):
        return np.zeros(len(c.open_time), bool)
    return pd.Series(c.open_time).duplicated().to_numpy()


def bad_prices(c: CandleColumns) -> Mask:
    """Mark rows with a price that is missing, infinite, zero or negative, (T,)."""
    sound = np.ones(len(c.open_time), bool)
    for column in c.prices.T:  # column by column is four times as fast as rows
        sound &= (column > 0) & (column < np.inf)
    return ~sound


def bad_volumes(c: CandleColumns) -> Mask:
    """Mark rows whose volume is missing, infinite or negative, (T,)."""
    return np.asarray(~((c.volume >= 0) & (c.volume < np.inf)))


def impossible_candles(c: CandleColumns) -> Mask:
    """Mark rows whose high or low does not contain the other prices, (T,); a row with a missing price is not marked."""
    opened, high, low, close = c.prices.T
    outside = (high < np.maximum(opened, close)) | (low > np.minimum(opened, close)) | (high < low)
    if outside.any():
        outside &= np.isfinite(c.prices).all(axis=1)
    return np.asarray(outside)


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
    phases = c.grid_time % step
    if (phases == phases[0]).all():
        return np.zeros(len(phases), bool)
    phases, which, counts = np.unique(phases, return_inverse=True, return_counts=True)
    return np.asarray(phases[which] != phases[np.argmax(counts)])


def not_closed(c: CandleColumns, step: int, now_ms: int | None) -> Mask:
    """Mark rows whose bar has not closed at `now_ms`, (T,); none if the time is unknown."""
    return np.zeros(len(c.open_time), bool) if now_ms is None else c.open_time + step > now_ms


# --- the path: rows in order of time, no repeats --------------------------------------------------------------------


def missing_before(c: CandleColumns, step: int) -> NDArray[np.int64]:
    """Return how many bars are missing between each row and the row before it, (T,)."""
    missing = np.zeros(len(c.grid_time), np.int64)
    steps = np.diff(c.grid_time)
    longer = np.flatnonzero(steps > step)
    missing[1 + longer] = steps[longer] // step - 1
    return missing


def stale(c: CandleColumns) -> Mask:
    """Mark rows that repeat all four prices of the row before, in runs of at least `STALE_RUN` equal rows, (T,)."""
    again = 1 + np.flatnonzero(c.prices[1:, 3] == c.prices[:-1, 3])
    again = again[(c.prices[again] == c.prices[again - 1]).all(axis=1)]
    starts = np.flatnonzero(np.diff(again, prepend=-1) > 1)
    lengths = np.diff(np.append(starts, len(again)))  # of runs, less the row that is repeated
    marked = np.zeros(len(c.open_time), bool)
    marked[again[np.repeat(lengths >= STALE_RUN - 1, lengths)]] = True
    return marked


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

    Compares the median volume of five blocks of bars on both sides of each block boundary, as logarithms. Prices
    between 1/50 and 50 cannot show a switch, since volume itself moves by such factors.
    """
    traded = np.flatnonzero((c.volume > 0) & np.isfinite(c.volume))
    blocks = len(traded) // VOLUME_BLOCK
    if blocks < 10:
        return np.empty(0, np.intp)
    rows = traded[: blocks * VOLUME_BLOCK]
    levels = np.log(np.median(c.volume[rows].reshape(blocks, -1), axis=1))
    price = np.abs(np.log(np.median(c.prices[rows, 3].reshape(blocks, -1), axis=1)))
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
