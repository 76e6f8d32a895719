"""Times of price files in whichever form, as milliseconds. Which zone a time without one has is asked elsewhere.

The order of guesses: datetime columns; numbers as calendar digits (`202403080930`) where every one of them is a date,
else as a count since 1970, its unit by size; ISO texts; other texts by the shape of date, time and zone. Day and month
are settled by a day above 12 anywhere in the file, and never guessed.
"""

import re
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute

from src.errors import DataError
from src.market.bars import TimeArray
from src.market.reading.times.text_formats import date_format, day_times, text_shape, zone_minutes

MINUTE_MS = 60_000
# Numbers since 1970 by size: each unit spans the years 1973 to 5138, so no number is ambiguous.
_UNITS = ((1e8, 1e11, 1_000.0, "seconds"), (1e11, 1e14, 1.0, "milliseconds"))
_FINE_UNITS = ((1e14, 1e17, 1e-3, "microseconds"), (1e17, 1e20, 1e-6, "nanoseconds"))
_DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f"}
_COUNTS = {"s": 1_000.0, "ms": 1.0, "us": 1e-3, "ns": 1e-6}  # milliseconds in each
_PARTS = ("date", "time", "zone")
_EXCEL_DAYS = (20_000.0, 80_000.0)  # 1954 to 2119, days since 1899-12-30
_EXCEL_EPOCH_MS = -2_209_161_600_000


class Times(NamedTuple):
    """Times as they stand in a file."""

    wall_ms: TimeArray  # (T,) milliseconds since 1970 of the clock that the file shows
    offset_ms: TimeArray | None  # (T,) that clock less UTC; None where the file names no zone
    form: str  # `ISO 8601`, `seconds since 1970`, `%d.%m.%Y %H:%M`
    zone: str = ""  # as the file names it: `UTC`, `+08:00`, `America/New_York`; empty where it names none
    remark: str = ""

    @property
    def utc_ms(self) -> TimeArray:
        """UTC milliseconds, (T,); the clock's own where the file names no zone."""
        return self.wall_ms if self.offset_ms is None else self.wall_ms - self.offset_ms


def to_milliseconds(column: pd.Series) -> TimeArray:
    """Return the times of a column as int64 UTC milliseconds, (T,); without a zone they are UTC.

    Raises:
        DataError: a time is missing or not understood; the first such row is named.
    """
    return read_times(column).utc_ms


def read_times(column: pd.Series, time_format: str | None = None) -> Times:
    """Return the times of a column; what is finer than a millisecond is cut off.

    Args:
        column: datetimes, numbers or text.
        time_format: of texts and digits, as `strptime` has it; `s`, `ms`, `us` or `ns` of a count since 1970; None
            guesses.

    Raises:
        DataError: a time is missing, not understood, or may be read day first as well as month first.
    """
    _refuse(column, column.isna().to_numpy())
    if time_format in _COUNTS:
        return _counted(column, time_format)
    if isinstance(column.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(column):
        return _from_datetimes(column)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return _of_format(_digits(column), time_format) if time_format else _from_numbers(column)
    texts = column.astype("str")
    if time_format:
        return _of_format(texts.str.strip(), time_format)
    return _plain_iso(pa.array(texts, from_pandas=True)) or _from_texts(texts.str.strip())


def _counted(column: pd.Series, unit: str) -> Times:
    values = pd.to_numeric(column, errors="coerce")
    _refuse(column, values.isna().to_numpy())
    times = _scaled(values.to_numpy(), _COUNTS[unit])
    return Times(times, np.zeros(len(times), np.int64), f"{unit} since 1970", "UTC")


def _from_datetimes(column: pd.Series) -> Times:
    zone = column.dt.tz
    utc = _milliseconds(column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None))
    if zone is None:
        return Times(utc, None, "datetime")
    wall = _milliseconds(column.dt.tz_localize(None))
    return Times(wall, wall - utc, "datetime", str(zone))


def _milliseconds(column: pd.Series) -> TimeArray:
    times: TimeArray = column.to_numpy().astype("datetime64[ms]").astype(np.int64)
    return times


def _digits(column: pd.Series) -> pd.Series:
    return column.astype("int64").astype("str")


# --- numbers --------------------------------------------------------------------------------------------------------


def _from_numbers(column: pd.Series) -> Times:
    values = column.to_numpy()
    calendar = _calendar_digits(values)
    if calendar is not None:
        return calendar
    if len(values) and np.all((values >= _EXCEL_DAYS[0]) & (values < _EXCEL_DAYS[1])):
        days = np.rint(values.astype(np.float64) * 86_400.0).astype(np.int64)
        remark = f"times are read as days of a spreadsheet (first '{values[0]}'); data.time_format decides otherwise"
        return Times(days * 1000 + _EXCEL_EPOCH_MS, None, "days of a spreadsheet", remark=remark)
    times, understood, names = np.zeros(len(values), np.int64), np.zeros(len(values), bool), []
    for low, high, factor, name in (*_UNITS, *_FINE_UNITS):
        rows = (values >= low) & (values < high)
        if rows.any():
            times[rows] = _scaled(values[rows], factor)
            names.append(name)
        understood |= rows
    _refuse(column, ~understood)
    return Times(times, np.zeros(len(times), np.int64), f"{' and '.join(names)} since 1970", "UTC")


def _scaled(values: NDArray[np.generic], factor: float) -> TimeArray:
    if np.issubdtype(values.dtype, np.integer):
        whole = values.astype(np.int64)
        return whole * int(factor) if factor >= 1 else whole // round(1 / factor)
    return np.rint(values.astype(np.float64) * factor).astype(np.int64)


def _calendar_digits(values: NDArray[np.generic]) -> Times | None:
    # 20240308, 202403080930 and the like, where every number is a date between 1900 and 2100.
    if not len(values) or (np.issubdtype(values.dtype, np.floating) and not np.all(values == np.rint(values))):
        return None
    whole = values.astype(np.int64)
    count = len(str(int(whole[0])))
    if count not in _DIGITS or not np.all((whole >= 10 ** (count - 1)) & (whole < 10**count)):
        return None
    padded = whole * 10 ** (17 - count) if count >= 8 else whole
    parts = [
        padded // 10**power % 10**width for power, width in ((13, 4), (11, 2), (9, 2), (7, 2), (5, 2), (3, 2), (0, 3))
    ]
    year, month, day, hour, minute, second, millisecond = parts
    valid = (year >= 1900) & (year <= 2100) & (month >= 1) & (month <= 12) & (day >= 1)
    if not np.all(valid & (hour < 24) & (minute < 60) & (second < 60)):
        return None
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    if not np.all(days.astype("datetime64[M]") == months):
        return None
    of_day = ((hour * 60 + minute) * 60 + second) * 1000 + millisecond
    form = _DIGITS[count]
    wall = days.astype("datetime64[ms]").astype(np.int64) + of_day
    remark = (
        f"times are read as digits of the calendar, {form} (first '{whole[0]}'); data.time_format decides otherwise"
    )
    return Times(wall, None, form, remark="" if count == 8 else remark)


# --- texts ----------------------------------------------------------------------------------------------------------


def _of_format(texts: pd.Series, time_format: str) -> Times:
    parsed = pd.to_datetime(texts, format=time_format, errors="coerce", utc="%z" in time_format.lower())
    bad = parsed.isna().to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"data.time_format='{time_format}' does not read '{texts.iloc[row]}' in column '{texts.name}', row {row}"
        )
    if "%z" not in time_format.lower():
        return Times(_milliseconds(parsed), None, time_format)
    utc = _milliseconds(parsed.dt.tz_localize(None))
    zones = texts.str.extract(r"(Z|[+-]\d{2}:?\d{2})\s*$")[0].fillna("Z")
    offset = zones.map({zone: zone_minutes(zone) for zone in zones.unique()}).to_numpy(np.int64) * MINUTE_MS
    return Times(utc + offset, offset, time_format, " and ".join(sorted(zones.unique())[:2]))


def _from_texts(texts: pd.Series) -> Times:
    cells = _cells(texts)
    numbers = _as_numbers(cells)
    if numbers is not None:
        return _from_numbers(pd.Series(numbers, name=texts.name))
    return _plain_iso(cells) or _in_parts(texts, cells)


def _cells(texts: pd.Series) -> pa.Array:
    cells = pa.array(texts, from_pandas=True)
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


def _as_numbers(cells: pa.Array) -> NDArray[np.generic] | None:
    # Numbers that were written as text: JSON strings, zero-padded digits.
    if not len(cells) or not re.fullmatch(r"\d+(\.\d+)?", str(cells[0])):
        return None
    for kind in (pa.int64(), pa.float64()):
        try:
            values: NDArray[np.generic] = compute.cast(cells, kind).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            continue
        return values
    return None


def _plain_iso(cells: pa.Array) -> Times | None:
    # By far the most common text, and the fastest to read: ISO without a zone, or with Z throughout.
    if not len(cells):
        return Times(np.zeros(0, np.int64), None, "ISO 8601")
    suffix = re.search(r"(?<=\d)(Z|[+]00:?00)$", str(cells[0]))
    if suffix and not compute.all(compute.ends_with(cells, suffix[0])).as_py():
        return None
    zone = "UTC" if suffix else ""
    wall = _iso_milliseconds(cells, zone)
    if wall is None:
        return None
    has_day_times = len(str(cells[0])) > len("2024-03-08")
    form = "ISO 8601" if has_day_times else "%Y-%m-%d"
    return Times(wall, np.zeros(len(wall), np.int64) if zone else None, form, zone)


def _iso_milliseconds(cells: pa.Array, zone: str) -> TimeArray | None:
    for unit, per_millisecond in (("ms", 1), ("ns", 1_000_000)):  # a text of more digits is not read as one of fewer
        try:
            compute.cast(cells[:1], pa.timestamp(unit, zone or None))  # what fails on all rows fails slowly
            moments = compute.cast(cells, pa.timestamp(unit, zone or None))
        except pa.ArrowInvalid:
            continue
        wall: TimeArray = compute.cast(moments, pa.int64()).to_numpy()
        return wall if per_millisecond == 1 else wall // per_millisecond
    return None


def _in_parts(texts: pd.Series, cells: pa.Array) -> Times:
    # Date, time of day and zone apart: there are few different ones of each, and only those are read.
    shape = text_shape([str(cell) for cell in cells[:100]])
    date, day_time, zone = _cut(cells, shape) or _extracted(texts, cells, shape)
    dates, form, remark = date_format(_distinct(date), str(texts.name))
    of_day, time_form = day_times(_distinct(day_time))
    wall = dates[_codes(date)] + of_day[_codes(day_time)]
    form = " ".join([form, time_form]).strip()
    zones = _distinct(zone)
    if not any(zones):
        return Times(wall, None, form, remark=remark)
    if any("/" in name for name in zones):
        return _of_named_zone(texts, wall, form, zones, remark)
    minutes = np.array([zone_minutes(name) for name in zones], np.int64)
    named = "UTC" if not minutes.any() else " and ".join(zones[:2])
    return Times(wall, minutes[_codes(zone)] * MINUTE_MS, f"{form} %z", named, remark)


def _cut(cells: pa.Array, shape: str) -> list[pa.DictionaryArray] | None:
    # The parts at the places that they have in the first text, where all are as long and all parts fit: much faster.
    first = str(cells[0])
    matched = re.match(shape, first)
    if matched is None or not _are_as_long(cells, len(first.encode())):
        return None
    parts = []
    for name in _PARTS:
        start, stop = matched.span(name)
        part = compute.utf8_slice_codeunits(cells, max(start, 0), max(stop, 0)).dictionary_encode()
        for text in part.dictionary.to_pylist() if start >= 0 else ():
            again = re.match(shape, first[:start] + text + first[stop:])
            if again is None or again[name] != text:
                return None
        parts.append(part)
    return parts


def _are_as_long(cells: pa.Array, size: int) -> bool:
    return bool(compute.all(compute.equal(compute.binary_length(cells), size)).as_py())


def _extracted(texts: pd.Series, cells: pa.Array, shape: str) -> list[pa.DictionaryArray]:
    parts = compute.extract_regex(cells, pattern=shape)
    _refuse(texts, ~compute.is_valid(parts).to_numpy(zero_copy_only=False))
    return [compute.struct_field(parts, name).dictionary_encode() for name in _PARTS]


def _of_named_zone(texts: pd.Series, wall: TimeArray, form: str, zones: list[str], remark: str) -> Times:
    if len(zones) > 1:
        raise DataError(f"column '{texts.name}' holds times of several zones, {', '.join(zones[:3])}; write one zone")
    try:
        ZoneInfo(zones[0])
    except (KeyError, ValueError) as error:
        raise DataError(
            f"column '{texts.name}' names the zone '{zones[0]}', which is unknown; use data.timezone"
        ) from error
    return Times(wall, None, f"{form} ZONE", zones[0], remark)


def _distinct(part: pa.DictionaryArray) -> list[str]:
    return [str(text) for text in part.dictionary.to_pylist()]


def _codes(part: pa.DictionaryArray) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = part.indices.to_numpy(zero_copy_only=False)
    return codes


def _refuse(column: pd.Series, bad: NDArray[np.bool_]) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"column '{column.name}' holds {int(bad.sum())} time(s) that cannot be read, first '{column.iloc[row]}' at"
            f" row {row}; write ISO times such as 2020-01-31T13:00Z or milliseconds since 1970, or say how they are"
            " written with data.time_format, such as '%d/%m/%Y %H:%M'"
        )
