"""When an exchange trades, from `exchange_calendars`: its zone and its hours, by the name in `data.session`."""

import warnings
from datetime import UTC, time, tzinfo
from typing import NamedTuple

from src.config.time_zone import ROUND_THE_CLOCK


class Session(NamedTuple):
    """The hours of an exchange in its own zone; a market around the clock has none."""

    name: str
    zone: tzinfo
    opens: time | None
    closes: time | None


def exchange_session(name: str) -> Session:
    """Return the hours of an exchange that `DataConfig` has checked: `NYSE`, `XHKG`, ..., or `24x7`."""
    if name in ROUND_THE_CLOCK:
        return Session(name, UTC, None, None)
    from exchange_calendars import get_calendar  # half a second, and rarely asked for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its tables are built in ways that pandas will not have for ever
        calendar = get_calendar(name)
    return Session(name, calendar.tz, calendar.open_times[-1][1], calendar.close_times[-1][1])
