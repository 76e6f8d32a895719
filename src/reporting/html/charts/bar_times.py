"""What bars are called on a page: by when they open, in UTC, and those of a day or more by the day they cover."""

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries, timeframe_ms

DAY_MS = 86_400_000

Times = NDArray[np.datetime64]


def is_intraday(bars: BarSeries) -> bool:
    """Say whether bars are shorter than a day."""
    return timeframe_ms(bars.timeframe) < DAY_MS


def bar_times(bars: BarSeries) -> Times:
    """Return the time by which each bar is called, (T,) milliseconds.

    A daily bar may open on the evening before the day it covers, so its last millisecond counts.
    """
    times = bars.open_time if is_intraday(bars) else bars.close_time - 1
    return times.astype("datetime64[ms]")


def bar_name(bars: BarSeries, row: int) -> str:
    """Return what a bar is called: `2024-03-01`, or `2024-03-01 14:00`."""
    time = bar_times(bars[row : row + 1])[0]
    return str(time.astype("datetime64[m]" if is_intraday(bars) else "datetime64[D]")).replace("T", " ")
