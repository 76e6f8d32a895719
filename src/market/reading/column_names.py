"""Which column of a file is which: names are recognised in any case and punctuation, or mapped by the user."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from src.errors import DataError

COLUMNS = ("open_time", "open", "high", "low", "close", "volume")

# In order of preference: where a file holds several of a row, the first listed is taken.
_ALIASES: dict[str, tuple[str, ...]] = {
    "open_time": (
        "opentime", "timestamp", "datetime", "unix", "unixtime", "unixtimestamp", "date", "time", "gmttime", "timeutc",
        "datetimeutc", "timestampms", "timestamputc", "epoch", "ts", "t",
    ),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "max", "h"),
    "low": ("low", "lowprice", "min", "l"),
    "close": ("close", "closeprice", "last", "c"),
    "volume": ("volume", "vol", "basevolume", "volumefrom", "tickvolume", "tickvol", "v"),
}  # fmt: skip


def match_columns(names: Sequence[str], mapped: Mapping[str, str]) -> dict[str, int]:
    """Return the position of each of our columns among the names of a file; `volume` may be absent.

    Args:
        names: column names of the file, in order.
        mapped: our names to the file's; they win over recognition.

    Raises:
        DataError: a mapped column is not there, a needed one is not recognised, or two answer to the same name.
    """
    found = {}
    for ours in COLUMNS:
        position = _position(ours, names, mapped)
        if position is not None:
            found[ours] = position
    missing = [ours for ours in COLUMNS if ours not in found and ours != "volume"]
    if missing:
        listing = "it has no header, and its columns are" if all(map(str.isdigit, names)) else "its columns are"
        example = f"{{{missing[0]}: {names[0]}}}"
        raise DataError(
            f"no column found for {', '.join(missing)}; {listing} {', '.join(names)}; name them in data.columns, for"
            f" example {example}"
        )
    return found


def _position(ours: str, names: Sequence[str], mapped: Mapping[str, str]) -> int | None:
    if ours in mapped:
        return _mapped_position(ours, names, mapped[ours])
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    for alias in _ALIASES[ours]:
        places = [place for place, name in enumerate(plain) if name == alias]
        if len(places) > 1:
            both = " and ".join(f"'{names[place]}'" for place in places)
            raise DataError(f"columns {both} could each be {ours}; choose one in data.columns")
        if places:
            return places[0]
    return None


def _mapped_position(ours: str, names: Sequence[str], theirs: str) -> int:
    if theirs in names:
        return list(names).index(theirs)
    near = get_close_matches(theirs, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise DataError(f"data.columns.{ours} names '{theirs}', which is not there{hint} Columns: {', '.join(names)}")
