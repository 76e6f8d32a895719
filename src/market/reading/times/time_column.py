"""Which columns hold the time of a bar: one, or a date and a time of day that belong together."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from src.market.reading.column_names import CLOSE_TIME, candidates, plain_name

_SAMPLE = 100
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(\s?[AaPp][Mm])?")
_DIGITS = re.compile(r"([01]?\d|2[0-3])[0-5]\d([0-5]\d)?|0")  # 930, 093000, where the column is called a time
_CALLED_TIME = ("time", "timestamp", "hour", "timeofday")
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([ T]00:00(:00(\.0+)?)?)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})|(19|20)\d{6}"
)


def time_places(cells: pd.DataFrame, names: Sequence[str], found: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the columns of the time: what was found, with the date or the time of day that stands beside it."""
    places = found.get("open_time", found.get(CLOSE_TIME, ()))
    if len(places) != 1:
        return places
    others = [place for place in candidates("open_time", names) if place != places[0]]
    if _is_time_of_day(cells, names, places[0]):
        return next(((place, places[0]) for place in others if _is_date(cells, place)), places)
    if _is_date(cells, places[0]):
        return next(((places[0], place) for place in others if _is_time_of_day(cells, names, place)), places)
    return places


def joined(cells: pd.DataFrame, names: Sequence[str], places: Sequence[int]) -> pd.Series:
    """Return columns as one, joined by a space, under their joined names."""
    name = " + ".join(names[place] for place in places)
    if len(places) == 1:
        return cells.iloc[:, places[0]].rename(name)
    text = _text(cells.iloc[:, places[0]], is_date=True)
    for place in places[1:]:
        text = text.str.cat(_text(cells.iloc[:, place], is_date=False), sep=" ")
    return text.rename(name)


def _is_time_of_day(cells: pd.DataFrame, names: Sequence[str], place: int) -> bool:
    sample = _sample(cells.iloc[:, place])
    if all(map(_CLOCK.fullmatch, sample)):
        return bool(sample)
    return bool(sample) and plain_name(names[place]) in _CALLED_TIME and all(map(_DIGITS.fullmatch, sample))


def _is_date(cells: pd.DataFrame, place: int) -> bool:
    sample = _sample(cells.iloc[:, place])
    return bool(sample) and all(map(_DATE.fullmatch, sample))


def _sample(column: pd.Series) -> list[str]:
    rows = pd.concat([column.iloc[:_SAMPLE], column.iloc[-_SAMPLE:]])
    return [_plain(value) for value in rows.dropna()]


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _text(column: pd.Series, is_date: bool) -> "pd.Series[str]":
    if pd.api.types.is_datetime64_any_dtype(column):
        day: pd.Series[str] = column.dt.strftime("%Y-%m-%d")
        return day
    if not pd.api.types.is_numeric_dtype(column):
        texts: pd.Series[str] = column.astype("str").str.strip()
        return texts.str.replace(r"[ T]00:00(:00(\.0+)?)?$", "", regex=True) if is_date else texts
    digits = column.astype("int64").astype("str")
    padded: pd.Series[str] = digits if is_date else digits.str.zfill(6 if digits.str.len().max() > 4 else 4)
    return padded
