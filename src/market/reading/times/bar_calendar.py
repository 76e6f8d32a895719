"""From moments to opening times of bars: closing times shifted, session dates, weeks, months, grids of a local clock.

A bar counts as closed at its opening time plus its length, and must never count so before it has closed:

- **Days** are dated by their session and open at 00:00 UTC of that date. They close at the next midnight UTC, when
  every exchange from Sydney to New York has closed. A market around the clock (bars on Saturdays and Sundays) keeps the
  moments of the file, since its day ends where the next begins; `data.timeframe=24h` keeps them for any file.
- **Weeks** that are stamped with the last day of trading, or the first, open on their Monday; `data.timeframe=7d` keeps
  the stamps.
- **Months**, quarters and years open on their first day, whether they are stamped with the first or the last.
- **Hours** that move with daylight saving (four hours from the close in New York) keep their moments; that they are
  evenly spaced is judged on the clock of that place (`grid_ms`).
"""

from collections.abc import Iterator
from datetime import tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from src.market.bars import MONTH_MS, TimeArray, timeframe_name
from src.market.quality.bar_lengths import common_step
from src.market.reading.times.clock import DAY_MS, HOUR_MS, Moments, has_weekends, wall_in

WEEK_MS = 7 * DAY_MS
_ZONES = ("America/New_York", "Europe/London", "Europe/Berlin", "Australia/Sydney")  # whose clocks change
_MONDAY, _FRIDAY, _SUNDAY = 0, 4, 6
_ON_ONE_GRID = 0.99  # of the bars, before a clock explains their times
_MONTH_EDGE_DAYS = 10  # within so many days of a month's edge lies its first or last trading day
_CLOSING_MS = (1, 1000)  # before the next bar, where closing times such as 23:59:59.999 or 23:59:59 stand


class Opened(NamedTuple):
    """Opening times of bars, and where they stand on an even grid if that is another (else None), (T,) each."""

    open_ms: TimeArray
    grid_ms: TimeArray | None = None
    remarks: tuple[str, ...] = ()


def opening_times(
    moments: Moments, zone: tzinfo | None = None, timeframe: str | None = None, is_closing: bool = False
) -> Opened:
    """Return when bars opened.

    Args:
        moments: of the file.
        zone: of the exchange, as `data.session` names it; UTC for a market around the clock.
        timeframe: as declared; `24h` and `7d` keep moments that `1d` and `1w` would put on dates.
        is_closing: the column says of itself that it holds closing times.
    """
    if len(moments.utc_ms) < 2 or np.ptp(moments.utc_ms) == 0:
        return Opened(moments.utc_ms)
    step = common_step(moments.utc_ms)
    within = moments._replace(
        utc_ms=moments.utc_ms - is_closing, wall_ms=moments.wall_ms - is_closing
    )  # not at its end
    if step >= 27 * DAY_MS and (months := _months(within, zone)) is not None:
        return months
    moments = _opened(moments, step, is_closing)
    is_closing = bool(moments.remarks)
    if step == WEEK_MS and not _is_duration(timeframe, "w"):
        opened = _weeks(moments, zone, is_closing)
    elif step == DAY_MS and not _is_duration(timeframe, "d"):
        opened = _days(moments, zone, is_closing)
    else:
        opened = _even(moments, zone, step)
    return opened._replace(remarks=(*moments.remarks, *opened.remarks))


def _is_duration(timeframe: str | None, unit: str) -> bool:
    # 24h is a length of time, 1d a day of the calendar.
    return timeframe is not None and not timeframe.endswith(unit)


def _opened(moments: Moments, step: int, is_closing: bool) -> Moments:
    # Closing times moved to where their bars opened.
    grid = min(step, DAY_MS)
    before = next((ms for ms in _CLOSING_MS if 2 * ms < grid and _all_on_grid(moments.utc_ms, ms, grid)), None)
    if before is None and not is_closing:
        return moments._replace(remarks=())
    shift = step - (before or 0)
    told = (
        f"times such as {_shown(moments.utc_ms[0])} are closing times: each bar opens {timeframe_name(step)} before;"
        " name opening times in data.columns.open_time if the file has them"
    )
    return Moments(moments.utc_ms - shift, moments.wall_ms - shift, moments.zone, (told,))


def _all_on_grid(times: TimeArray, later: int, grid: int) -> bool:
    return int(times[0] + later) % grid == 0 and not ((times + later) % grid).any()


def _walls(moments: Moments, zone: tzinfo | None) -> Iterator[tuple[TimeArray, str]]:
    # The clocks that may have set the times: the file's own, the exchange's, UTC, and those that change.
    if moments.zone != "UTC" or not (moments.wall_ms % DAY_MS).any():
        yield moments.wall_ms, moments.zone
    if zone is not None:
        yield wall_in(moments.utc_ms, zone), str(zone)
    yield moments.utc_ms, "UTC"
    for name in _ZONES:
        yield wall_in(moments.utc_ms, ZoneInfo(name)), name


# --- days and weeks -------------------------------------------------------------------------------------------------


def _days(moments: Moments, zone: tzinfo | None, is_closing: bool) -> Opened:
    found = _session_days(moments, zone, DAY_MS if is_closing else 0)
    if found is None or str(zone) == "UTC":
        return _even(moments, zone, DAY_MS)
    days, clock = found
    opened = days * DAY_MS
    if has_weekends(np.unique(days, return_index=True)[0]) and (opened != moments.utc_ms).any():
        return _even(moments, zone, DAY_MS)
    told = f"daily bars that begin at {clock} are dated by session, from 00:00 UTC; data.timeframe=24h keeps the times"
    return Opened(opened, remarks=(told,) if (opened != moments.utc_ms).any() else ())


def _session_days(moments: Moments, zone: tzinfo | None, until_close: int) -> tuple[NDArray[np.int64], str] | None:
    # The days since 1970 of sessions (T,), by a clock on which all are stamped at one time, and that time; None without
    # one. Where closing times are known, `until_close` leads from stamps to them: a session has the date of its close.
    stamps = Moments(moments.utc_ms + until_close, moments.wall_ms + until_close, moments.zone, ())
    for wall, name in _walls(stamps, zone):
        begins = int(wall[0] % DAY_MS)
        if (wall % DAY_MS != begins).any():
            continue
        days = (wall - 1 if until_close else wall) // DAY_MS
        present = set(((np.unique(days, return_index=True)[0] + 3) % 7).tolist())
        is_evening_before = _SUNDAY in present and _FRIDAY not in present and begins >= DAY_MS // 2
        at = f"{begins // HOUR_MS:02d}:{begins % HOUR_MS // 60_000:02d} {name}"
        return days + int(is_evening_before), at
    return None


def _weeks(moments: Moments, zone: tzinfo | None, is_closing: bool) -> Opened:
    found = _session_days(moments, zone, WEEK_MS if is_closing else 0)
    if found is None or str(zone) == "UTC":  # a market that never closes keeps its moments, as days do
        return _even(moments, zone, WEEK_MS)
    days, _ = found
    distinct = np.unique(days, return_index=True)[0]
    weekdays, weeks = (distinct + 3) % 7, (distinct + 3) // 7
    usual = int(np.bincount(weekdays).argmax())
    is_even = bool((weekdays == usual).all())
    if len(np.unique(weeks, return_index=True)[0]) < len(weeks) or (usual == _MONDAY and is_even):
        return Opened(days * DAY_MS)
    if usual not in (_MONDAY, _FRIDAY) and not is_closing and (weekdays[:-1] == usual).all():
        return Opened((days - (days + 3 - usual) % 7) * DAY_MS)  # the last bar may carry the day of the download
    opened = ((days + 3) // 7 * 7 - 3) * DAY_MS
    told = (
        f"weekly bars are stamped with a day of trading, such as {_shown(moments.utc_ms[0], 'D')}: each opens on the"
        f" Monday of its week, {_shown(opened[0], 'D')}; data.timeframe=7d keeps the stamps"
    )
    return Opened(opened, remarks=(told,))


# --- months ---------------------------------------------------------------------------------------------------------


def _months(moments: Moments, zone: tzinfo | None) -> Opened | None:
    wall = next(_walls(moments, zone))[0]
    distinct = np.unique(wall, return_index=True)[0]
    stamped, to_end = _month_of(distinct)
    length = int(np.bincount(np.diff(np.unique(stamped, return_index=True)[0])).argmax()) if len(distinct) > 1 else 1
    if len(np.unique(stamped)) < len(distinct):
        return None
    settled = slice(None, -1) if len(distinct) > 2 else slice(None)  # the last bar may carry the day of the download
    of_month = distinct // DAY_MS - _month_start(stamped)
    if (of_month[settled] < _MONTH_EDGE_DAYS).all():
        first = _month_of(wall)[0]
    elif (to_end[settled] < _MONTH_EDGE_DAYS).all():
        is_midnight_elsewhere = not to_end[settled].any() and _is_afternoon(distinct)
        first = _month_of(wall)[0] + (1 if is_midnight_elsewhere else 1 - length)
    else:
        return None
    opened = _month_start(first) * DAY_MS
    if (opened == moments.utc_ms).all():
        return Opened(opened, first * MONTH_MS)
    told = (
        f"bars of {timeframe_name(length * MONTH_MS)} are dated by the first day of their month: the first, stamped"
        f" {_shown(moments.wall_ms[0], 'D')}, opens at {_shown(opened[0], 'D')}"
    )
    return Opened(opened, first * MONTH_MS, (told,))


def _month_of(wall: TimeArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Months since 1970, and days left to their last day.
    months = wall.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    return months, _month_start(months + 1) - 1 - wall // DAY_MS


def _month_start(months: NDArray[np.int64]) -> NDArray[np.int64]:
    # The first day of months, in days since 1970.
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _is_afternoon(wall: TimeArray) -> bool:
    # 15:00 UTC is midnight in Tokyo; 23:59:59 is the end of a day.
    of_day = wall % DAY_MS
    return bool((of_day >= DAY_MS // 2).all() and not any(((wall + ms) % DAY_MS == 0).all() for ms in _CLOSING_MS))


# --- even steps -----------------------------------------------------------------------------------------------------


def _even(moments: Moments, zone: tzinfo | None, step: int) -> Opened:
    on_grid = _share_on_grid(moments.utc_ms, step)
    if on_grid == 1.0 or step <= HOUR_MS:
        return Opened(moments.utc_ms)
    for wall, name in _walls(moments, zone):
        if name != "UTC" and (share := _share_on_grid(wall, step)) >= _ON_ONE_GRID and share > on_grid:
            told = f"bars of {timeframe_name(step)} keep step with the clock of {name}, and move with daylight saving"
            return Opened(moments.utc_ms, wall, (f"{told}; data.timezone and data.session name another clock",))
    return Opened(moments.utc_ms)


def _share_on_grid(times: TimeArray, step: int) -> float:
    _, counts = np.unique(times % step, return_counts=True)
    return float(counts.max() / len(times))


def _shown(time: int | np.int64, unit: str = "s") -> str:
    return str(np.datetime64(int(time), "ms").astype(f"datetime64[{unit}]")).replace("T", " ")
