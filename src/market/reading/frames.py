"""From a clean frame to a `BarSeries` of the declared timeframe; and cutting a series by date.

Not here: order, duplicates and every other defect of a frame, which `market/quality` repairs or refuses before.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import ConfigError, DataError
from src.market.bars import BarSeries, TimeArray, timeframe_ms, timeframe_name
from src.market.quality.bar_lengths import common_step
from src.market.quality.defects import grid_times

MIN_BARS = 2


def bars_from_frame(frame: pd.DataFrame, symbol: str, timeframe: str | None = None) -> BarSeries:
    """Return the bars of a frame that `quality.judge` repaired.

    Args:
        timeframe: declared bar length; by default the most common spacing (the shortest such on a tie), which gaps,
            weekends and thin trading leave in place.

    Raises:
        DataError: fewer than two bars, a declared timeframe that is not the spacing, or values `BarSeries` refuses.
    """
    if len(frame) < MIN_BARS:
        raise DataError(f"{symbol}: {len(frame)} bar(s) left, at least {MIN_BARS} are needed")
    times = frame["open_time"].to_numpy(np.int64)
    usual = common_step(grid_times(frame))
    columns = (frame[column].to_numpy(np.float64) for column in ("open", "high", "low", "close", "volume"))
    bars = BarSeries(symbol, timeframe or timeframe_name(usual), times, *columns)
    require_timeframe(bars, usual)
    return bars


def require_timeframe(bars: BarSeries, usual: int) -> None:
    """Refuse bars whose timeframe is not their most common spacing `usual`, in milliseconds.

    Raises:
        DataError: naming both.
    """
    if usual != timeframe_ms(bars.timeframe):
        raise DataError(
            f"{bars.symbol}: timeframe {bars.timeframe} contradicts the bars, which are {timeframe_name(usual)} apart;"
            " leave data.timeframe empty or load other data"
        )


def cut_by_date(bars: BarSeries, start: str | None, end: str | None) -> BarSeries:
    """Keep the bars that open at or after `start` and before `end`: ISO dates or times, UTC without a zone.

    Raises:
        ConfigError: a date is not ISO, or end is not after start.
        DataError: fewer than two bars are left.
    """
    rows = slice(*np.searchsorted(bars.open_time, _bounds(bars.open_time, start, end)).tolist())
    if rows.stop - rows.start < MIN_BARS:
        raise DataError(
            f"{bars.symbol}: {max(rows.stop - rows.start, 0)} bar(s) between data.start={start} and data.end={end};"
            f" the data runs from {_when(bars.open_time[0])} to {_when(bars.open_time[-1])}"
        )
    return bars[rows]


def rows_by_date(times: TimeArray, start: str | None, end: str | None) -> NDArray[np.bool_]:
    """Mark the times (T,), in any order, that `cut_by_date` keeps; all of them where that would be fewer than two.

    Raises:
        ConfigError: a date is not ISO, or end is not after start.
    """
    first, stop = _bounds(times, start, end) if times.size else (0, 0)
    rows = np.asarray((times >= first) & (times < stop))
    return rows if rows.sum() >= MIN_BARS else np.ones(len(times), bool)


def _bounds(times: TimeArray, start: str | None, end: str | None) -> tuple[int, int]:
    first = parse_date(start, "data.start") if start else int(times.min())
    stop = parse_date(end, "data.end") if end else int(times.max()) + 1
    if start and end and stop <= first:
        raise ConfigError(f"data.end must be after data.start, was {end} with start {start}")
    return first, stop


def parse_date(text: str, name: str) -> int:
    """Return an ISO date or time as UTC milliseconds; `name` is what the refusal calls the setting."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be an ISO date such as 2020-01-31, was '{text}'") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _when(time: int | np.int64) -> str:
    return f"{np.datetime64(int(time), 'ms').astype('datetime64[s]')} UTC"
