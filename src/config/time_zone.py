"""Time zones and exchanges as settings name them: an IANA name or an offset from UTC; a calendar's name."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo, available_timezones

from src.config.base import require_known
from src.errors import ConfigError

ROUND_THE_CLOCK = ("24x7", "24/7")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?")


def time_zone(name: str, setting: str = "data.timezone") -> tzinfo:
    """Return the zone that a setting names, such as `America/New_York`, `UTC` or `+05:30`.

    Raises:
        ConfigError: no such zone; the nearest is named.
    """
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    if (offset := _OFFSET.fullmatch(name)) and int(offset[2]) < 24:
        ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return timezone(-ahead if offset[1] == "-" else ahead)
    zones = available_timezones()
    if name not in zones:
        near = get_close_matches(name, zones, n=1) or [zone for zone in sorted(zones) if name.lower() in zone.lower()]
        hint = f"; did you mean '{near[0]}'?" if near else ";"
        raise ConfigError(f"{setting} '{name}' is unknown{hint} Valid: names such as America/New_York, or +01:00")
    return ZoneInfo(name)


def require_session(name: str) -> None:
    """Refuse an exchange that `exchange_calendars` does not know, with the nearest one that it does."""
    if name not in ROUND_THE_CLOCK:
        from exchange_calendars import get_calendar_names  # half a second, and rarely asked for

        require_known("data.session", [name], {*get_calendar_names(), *ROUND_THE_CLOCK})
