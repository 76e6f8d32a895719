"""From the clock that a file shows to UTC.

The order: a zone in the file; `data.timezone`; the hours of `data.session`, where they fit the times as local ones; the
hours of the bars themselves, where they are those of New York; else UTC. Every guess is told.
"""

from datetime import tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.config.time_zone import time_zone
from src.errors import DataError
from src.market.bars import TimeArray
from src.market.reading.times.exchange_session import Session
from src.market.reading.times.timestamps import MINUTE_MS, Times

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_NEW_YORK = "America/New_York"
_NEW_YORK_HOURS = (9.5 * HOUR_MS, 16 * HOUR_MS)
_SAMPLED = 10_000  # times in which weekends are looked for first
_MIN_DAYS = 5  # with fewer, hours are no evidence
_Days = tuple[TimeArray, TimeArray, float]  # as `_days` returns them
CLOSING_DOUBT = (
    "every day begins one bar after 09:30 and ends at 16:00, as closing times in New York do: if they are, name them in"
    " data.columns.close_time"
)
_UTC_TOLD = (
    "times without a zone are taken as UTC; data.timezone says otherwise, such as America/New_York, Europe/Berlin or"
    " +02:00"
)


class Moments(NamedTuple):
    """The moments of a file."""

    utc_ms: TimeArray  # (T,)
    wall_ms: TimeArray  # (T,) the same on the clock of the file, or of the zone that was taken
    zone: str
    remarks: tuple[str, ...]
    are_closing: bool = False  # by the hours of their days, which end at the close of New York


def to_utc(times: Times, timezone: str | None = None, session: Session | None = None) -> Moments:
    """Return the moments of times.

    Args:
        timezone: of times that name none, as in `data.timezone`.
        session: the exchange's hours, as in `data.session`.

    Raises:
        DataError: a time does not exist in the zone, since clocks were put forward.
    """
    if times.offset_ms is not None:
        unused = f"times name their own zone, {times.zone}; data.timezone is not used"
        offset = f"times are read with the offset from UTC that they name, {times.zone}"
        told = unused if timezone else offset if times.zone != "UTC" else ""
        return Moments(times.utc_ms, times.wall_ms, times.zone, (told,) if told else ())
    if not len(times.wall_ms):
        return Moments(times.wall_ms, times.wall_ms, "UTC", ())
    if name := timezone or times.zone:
        are_closing = name == _NEW_YORK and _are_closing_in_new_york(_days(times.wall_ms), times.wall_ms)
        return _local(times.wall_ms, time_zone(name), name, ())._replace(are_closing=are_closing)
    if not (times.wall_ms % DAY_MS).any():
        told = "dates without a time are kept as they are, from 00:00 UTC (data.timezone)"
        return Moments(times.wall_ms, times.wall_ms, "UTC", (told,))
    return _guessed(times.wall_ms, session)


def _guessed(wall: TimeArray, session: Session | None) -> Moments:
    if session is not None and session.opens is not None and session.closes is not None:
        return _by_session(wall, session)
    days = _days(wall)
    if session is None and _are_closing_in_new_york(days, wall):
        told = (
            f"every day begins one bar after 09:30 and ends at 16:00: times without a zone are taken as {_NEW_YORK},"
            " when bars close; data.timezone says otherwise"
        )
        return _local(wall, ZoneInfo(_NEW_YORK), _NEW_YORK, (told,))._replace(are_closing=True)
    if session is None and _has_new_york_hours(days):
        told = (
            "every day begins at 09:30 and ends by 16:00, the hours of New York: times without a zone are taken as"
            f" {_NEW_YORK}; data.timezone says otherwise"
        )
        return _local(wall, ZoneInfo(_NEW_YORK), _NEW_YORK, (told,))
    start = _constant_start(days, wall)
    doubt = (
        f"; every day of the file begins at {start}, as local times do when clocks change: if they are, name their zone"
        if start
        else ""
    )
    return Moments(wall, wall, "UTC", (_UTC_TOLD + doubt,))


def _local(wall: TimeArray, zone: tzinfo, name: str, remarks: tuple[str, ...]) -> Moments:
    shown = pd.DatetimeIndex(wall.astype("datetime64[ms]"))
    if isinstance(zone, ZoneInfo):
        first, second = (_localised(shown, zone, name, is_summer) for is_summer in (True, False))
        is_second = pd.Series(wall).duplicated(keep="last" if wall[0] > wall[-1] else "first").to_numpy()
        utc = np.where(is_second, second, first)
        if (alone := (first != second) & ~pd.Series(wall).duplicated(keep=False).to_numpy()).any():
            told = f"{int(alone.sum())} time(s) exist twice in {name} and stand once in the file, first"
            remarks = (*remarks, f"{told} {shown[int(np.argmax(alone))]}; the earlier is taken (data.timezone)")
    else:
        ahead = zone.utcoffset(None)
        assert ahead is not None, "a fixed offset has one"
        utc = wall - round(ahead.total_seconds() * 1000)
    return Moments(utc, wall, name, remarks)


def _localised(shown: pd.DatetimeIndex, zone: tzinfo, name: str, is_summer: bool) -> TimeArray:
    summer = np.full(len(shown), is_summer)
    there = shown.tz_localize(zone, ambiguous=summer, nonexistent="NaT")
    missing = there.isna()
    if missing.any():
        raise DataError(
            f"{shown[int(np.argmax(missing))]} does not exist in {name}, where clocks were put forward; name another"
            " zone in data.timezone, or a fixed offset such as -05:00"
        )
    return wall_of(there.tz_convert("UTC"))


def wall_in(utc: TimeArray, zone: tzinfo) -> TimeArray:
    """Return UTC milliseconds (T,) as those of the clock of a zone."""
    return wall_of(pd.DatetimeIndex(utc.astype("datetime64[ms]")).tz_localize("UTC").tz_convert(zone))


def wall_of(moments: pd.DatetimeIndex) -> TimeArray:
    """Return what the clock of moments shows, as milliseconds, (T,)."""
    shown: TimeArray = moments.tz_localize(None).to_numpy().astype("datetime64[ms]").astype(np.int64)
    return shown


# --- evidence -------------------------------------------------------------------------------------------------------


def _by_session(wall: TimeArray, session: Session) -> Moments:
    as_local = _share_within(wall % DAY_MS, session)
    as_utc = _share_within(wall_in(wall, session.zone) % DAY_MS, session)
    name = str(session.zone)
    if as_local >= as_utc:
        told = f"times without a zone are taken as {name}: {as_local:.0%} of them lie in the hours of {session.name}"
        return _local(wall, session.zone, name, (f"{told}, as UTC {as_utc:.0%} would; data.timezone says otherwise",))
    told = f"times without a zone are taken as UTC: {as_utc:.0%} of them lie in the hours of {session.name}"
    return Moments(wall, wall, "UTC", (f"{told}, as {name} {as_local:.0%} would; data.timezone says otherwise",))


def _share_within(of_day: TimeArray, session: Session) -> float:
    assert session.opens is not None
    assert session.closes is not None
    opens, closes = (MINUTE_MS * (60 * at.hour + at.minute) for at in (session.opens, session.closes))
    inside = (of_day >= opens) & (of_day < closes) if opens < closes else (of_day >= opens) | (of_day < closes)
    return float(inside.mean())


def _are_closing_in_new_york(days: _Days | None, wall: TimeArray) -> bool:
    # 09:31 to 16:00 sharp, in bars of a minute. From 10:00 on, half hours may be those of another exchange.
    if days is None:
        return False
    opened, closed, noon = days
    bar = int(np.median(opened)) - round(_NEW_YORK_HOURS[0])
    if not 0 < bar < HOUR_MS // 2 or (_NEW_YORK_HOURS[1] - _NEW_YORK_HOURS[0]) % bar:
        return False
    is_bar = np.abs(np.diff(wall[:_SAMPLED])) == bar
    starts, ends = (opened == _NEW_YORK_HOURS[0] + bar).mean(), (closed == _NEW_YORK_HOURS[1]).mean()
    on_time = (closed <= _NEW_YORK_HOURS[1]).mean()
    return bool(is_bar.mean() >= 0.5 and min(starts, ends, noon) >= 0.8 and on_time >= 0.9)


def _has_new_york_hours(days: _Days | None) -> bool:
    if days is None:
        return False
    opened, closed, noon = days
    starts, ends = (opened == _NEW_YORK_HOURS[0]).mean(), (closed < _NEW_YORK_HOURS[1]).mean()
    late = np.median(closed) >= _NEW_YORK_HOURS[1] - HOUR_MS
    return bool(starts >= 0.8 and ends >= 0.9 and late and noon >= 0.8)


def _constant_start(days: _Days | None, wall: TimeArray) -> str:
    # When each day begins, if that never moves over a change of clocks and lies where exchanges open; else ''.
    if days is None or np.ptp(wall) < 240 * DAY_MS:
        return ""
    values, counts = np.unique(days[0], return_counts=True)
    most = int(values[np.argmax(counts)])
    is_morning = 7 * HOUR_MS <= most <= 10.5 * HOUR_MS
    shown = f"{most // HOUR_MS:02d}:{most % HOUR_MS // MINUTE_MS:02d}"
    return shown if is_morning and counts.max() >= 0.9 * len(days[0]) else ""


def _days(wall: TimeArray) -> _Days | None:
    # The first and last time of each day (D,), and the share of days with a bar from 12:00 to 13:00; None where there
    # are weekends, or too few days to tell.
    if has_weekends(wall[:: max(1, len(wall) // _SAMPLED)] // DAY_MS):
        return None
    ordered = wall if (np.diff(wall) >= 0).all() else np.sort(wall)
    day = ordered // DAY_MS
    starts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    if len(starts) < _MIN_DAYS or len(starts) == len(ordered) or has_weekends(day[starts]):
        return None
    of_day = ordered % DAY_MS
    ends = np.append(starts[1:], len(ordered)) - 1
    at_noon = (of_day >= 12 * HOUR_MS) & (of_day < 13 * HOUR_MS)
    with_noon = np.add.reduceat(at_noon.astype(np.int64), starts) > 0
    return of_day[starts], of_day[ends], float(with_noon.mean())


def has_weekends(days: NDArray[np.int64]) -> bool:
    """Say whether Saturdays and Sundays are among days since 1970, (D,)."""
    return {5, 6} <= set(((days + 3) % 7).tolist())
