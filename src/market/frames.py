"""From a raw frame to a `BarSeries`: order, timeframe and validation; and cutting a series by date.

The only repair made here is turning a newest-first file around, which invents nothing. Everything else that is wrong
is refused, with the first offending row. Repairs that a user asks for belong between reading and this module.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from src.errors import ConfigError, DataError
from src.market.bars import BarSeries, TimeArray, timeframe_ms, timeframe_name

MIN_BARS = 2


def bars_from_frame(raw: pd.DataFrame, symbol: str, timeframe: str | None = None) -> BarSeries:
    """Validate a raw frame (see `files.read_frame`) and return its bars.

    Args:
        timeframe: declared bar length; by default the most common spacing (the shortest such on a tie), which gaps,
            weekends and thin trading leave in place.

    Raises:
        DataError: fewer than two bars, duplicate or disordered times, a declared timeframe that is not the spacing,
            bars that overlap, or values `BarSeries` refuses.
    """
    if len(raw) < MIN_BARS:
        raise DataError(f"{symbol}: {len(raw)} bar(s) found, at least {MIN_BARS} are needed")
    if raw["open_time"].iloc[-1] < raw["open_time"].iloc[0]:
        raw = raw.iloc[::-1]
    times = raw["open_time"].to_numpy(np.int64)
    _refuse_disorder(times, symbol)
    name = timeframe or timeframe_name(_usual_spacing(times))
    columns = (raw[column].to_numpy(np.float64) for column in ("open", "high", "low", "close", "volume"))
    bars = BarSeries(symbol, name, times, *columns)
    require_spacing(bars)
    return bars


def require_spacing(bars: BarSeries) -> None:
    """Refuse bars whose usual spacing is not their timeframe, and bars that open before the prior one closed.

    Raises:
        DataError: naming both figures, or the first overlapping bar.
    """
    if len(bars) < MIN_BARS:
        return
    usual, declared = _usual_spacing(bars.open_time), timeframe_ms(bars.timeframe)
    if usual != declared:
        raise DataError(
            f"{bars.symbol}: timeframe {bars.timeframe} contradicts the bars, which are {timeframe_name(usual)} apart;"
            " leave data.timeframe empty or load other data"
        )
    early = np.diff(bars.open_time) < declared
    if early.any():
        row = int(np.argmax(early)) + 1
        raise DataError(
            f"{bars.symbol}: {int(early.sum())} bar(s) open before the {bars.timeframe} bar before them has closed,"
            f" first at row {row} ({_when(bars.open_time[row])})"
        )


def cut_by_date(bars: BarSeries, start: str | None, end: str | None) -> BarSeries:
    """Keep the bars that open at or after `start` and before `end`: ISO dates or times, UTC without a zone.

    Raises:
        ConfigError: a date is not ISO, or end is not after start.
        DataError: fewer than two bars are left.
    """
    first = parse_date(start, "data.start") if start else int(bars.open_time[0])
    stop = parse_date(end, "data.end") if end else int(bars.open_time[-1]) + 1
    if start and end and stop <= first:
        raise ConfigError(f"data.end must be after data.start, was {end} with start {start}")
    rows = slice(*np.searchsorted(bars.open_time, [first, stop]).tolist())
    if rows.stop - rows.start < MIN_BARS:
        raise DataError(
            f"{bars.symbol}: {max(rows.stop - rows.start, 0)} bar(s) between data.start={start} and data.end={end};"
            f" the data runs from {_when(bars.open_time[0])} to {_when(bars.open_time[-1])}"
        )
    return bars[rows]


def _refuse_disorder(times: TimeArray, symbol: str) -> None:
    frame_times = pd.Series(times)
    duplicates = frame_times.duplicated()
    if duplicates.any():
        row = int(duplicates.argmax())
        raise DataError(
            f"{symbol}: {int(duplicates.sum())} bar(s) repeat an earlier time, first at row {row}"
            f" ({_when(times[row])}); remove the duplicates"
        )
    backward = np.diff(times) < 0
    if backward.any():
        row = int(np.argmax(backward)) + 1
        raise DataError(
            f"{symbol}: times run backward {int(backward.sum())} time(s), first at row {row} ({_when(times[row])});"
            " sort the file by time"
        )


def _usual_spacing(times: TimeArray) -> int:
    spacings, counts = np.unique(np.diff(times), return_counts=True)
    return int(spacings[np.argmax(counts)])


def parse_date(text: str, name: str) -> int:
    """Return an ISO date or time as UTC milliseconds; `name` is what the refusal calls the setting."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be an ISO date such as 2020-01-31, was '{text}'") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _when(time: int | np.int64) -> str:
    return f"{np.datetime64(int(time), 'ms').astype('datetime64[s]')} UTC"
