"""Which column of a file is which: names are recognised in any case and punctuation, or mapped by the user.

The order: what `data.columns` says; then the names below, in their order; then, for times, an unnamed column.
"""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import chain

from src.errors import DataError
from src.market.bars import COLUMNS

Places = dict[str, tuple[int, ...]]  # our columns to positions in the file: one, or the parts of a joined column
CLOSE_TIME = "close_time"  # stands in for open_time where a file has no other times

# In order of preference: where a file holds several of a row, the first listed is taken.
_ALIASES: dict[str, tuple[str, ...]] = {
    "open_time": (
        "opentime", "timeopen", "starttime", "timeperiodstart", "timestamp", "datetime", "unix", "unixtime",
        "unixtimestamp", "date", "dtyyyymmdd", "time", "gmttime", "localtime", "timeutc", "dateutc", "datetimeutc",
        "timestampms", "timestamputc", "epoch", "tradingday", "tradedate", "day", "month", "week", "begin", "start",
        "ts", "t", "candlebegintime", "datum", "fecha", "data", "日期", "时间", "index", "", "unnamed0", "level0",
    ),
    CLOSE_TIME: ("closetime", "timeclose", "endtime", "timeperiodend", "end"),
    "open": (
        "open", "openprice", "priceopen", "first", "pxopen", "eröffnung", "eröffnungskurs", "eröffn", "erster", "ouv",
        "ouverture", "apertura", "abertura", "o", "开盘",
    ),
    "high": (
        "high", "highprice", "pricehigh", "max", "pxhigh", "hoch", "tageshoch", "höchst", "haut", "plushaut", "máximo",
        "maximo", "máxima", "massimo", "h", "最高",
    ),
    "low": (
        "low", "lowprice", "pricelow", "min", "pxlow", "tief", "tagestief", "tiefst", "bas", "plusbas", "mínimo",
        "minimo", "mínima", "l", "最低",
    ),
    "close": (
        "close", "closeprice", "priceclose", "closelast", "last", "latest", "pxlast", "price", "schluss", "schlusskurs",
        "zuletzt", "clot", "clôture", "cloture", "dernier", "cierre", "chiusura", "fechamento", "último", "ultimo",
        "c", "收盘",
    ),
    "volume": (
        "volume", "vol", "basevolume", "volumebase", "volumefrom", "volumetraded", "tickvolume", "tickvol",
        "totalvolume", "pxvolume", "volumen", "stücke", "stuecke", "v", "成交量",
    ),
}  # fmt: skip
_PARTS_OF_VOLUME = ("up", "down")  # of rising and falling trades (TradeStation); volume is their sum
_QUOTES = ("usd", "usdt", "usdc", "busd", "eur", "gbp", "jpy", "currency", "quote", "to")  # money, not goods


def match_columns(
    names: Sequence[str], mapped: Mapping[str, str], usual: Mapping[str, str] | None = None
) -> tuple[Places, list[str]]:
    """Return where each of our columns stands among the names of a file, and every reason why one could not be found.

    The reasons: mapped columns are not there, needed ones are not recognised, or two answer to the same name.

    `volume` may be absent; `close_time` is looked for only where no opening time is found or it is mapped.

    Args:
        names: column names of the file, in order.
        mapped: our names to the file's, which are a name, a position from 0, or several joined by `+`; they win over
            recognition.
        usual: what `data.columns` could say of rows without names, told where they cannot be matched.
    """
    found: Places = {}
    reasons: dict[str, str] = {}
    for ours in (*COLUMNS, CLOSE_TIME):
        try:
            places = _places(ours, names, mapped, found)
        except DataError as error:
            reasons[ours] = str(error)
            continue
        if places:
            found[ours] = places
    times = {"open_time"} if CLOSE_TIME in {*found, *reasons} else set()
    missing = [ours for ours in COLUMNS[:-1] if ours not in {*found, *reasons, *times}]
    return found, [*reasons.values(), *([_missing(missing, names, found, usual)] if missing else [])]


def merged_names(lines: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return one name a column from the lines above the data: none, one, or several as yfinance writes them.

    The line that names most of our columns decides. What it does not name is looked for in the others, and columns
    that it names alike are told apart by theirs. Without a line, columns are called by position.
    """
    if not lines:
        return [str(place) for place in range(width)]
    best = max(lines, key=lambda line: sum(bool(candidates(ours, line)) for ours in COLUMNS))
    names = [name.strip() for name in best]
    others = [line for line in lines if line is not best]
    for line in others:
        for ours in COLUMNS:
            if not candidates(ours, names) and (places := candidates(ours, line)):
                names[places[0]] = line[places[0]].strip()
    return [
        " ".join(filter(None, [name, *(line[place].strip() for line in others)])) if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def candidates(role: str, names: Sequence[str]) -> list[int]:
    """Return every column that answers to a role, in order of preference."""
    plain = [plain_name(name) for name in names]
    by_alias = [place for alias in _ALIASES[role] for place, name in enumerate(plain) if name == alias]
    return by_alias + (_volumes(plain, by_alias) if role == "volume" else [])


def plain_name(name: str) -> str:
    """Return a name without case, punctuation, a number before it (`1. open`) and keys above it (`mid.o`)."""
    without_path = re.sub(r"^\d+[a-z]?\.\s*", "", name.lower())
    if not _is_adjusted_spelling(without_path):
        without_path = re.split(r"\.(?=\w+$)", without_path)[-1]
    return re.sub(r"[\W_]", "", without_path)


def _is_adjusted_spelling(name: str) -> bool:
    return re.match(r"\W*adj", name) is not None  # "Adj. Close" and "adj.close" are no closes


def _places(ours: str, names: Sequence[str], mapped: Mapping[str, str], found: Places) -> tuple[int, ...]:
    if ours in mapped:
        return mapped_places(ours, names, mapped[ours])
    if ours == CLOSE_TIME and "open_time" in found:
        return ()
    if ours == "open_time" and CLOSE_TIME in mapped:
        return ()
    taken = set(chain.from_iterable(found.values()))
    return _recognised(ours, names, taken) or (_parts_of_volume(names, taken) if ours == "volume" else ())


def _recognised(ours: str, names: Sequence[str], taken: set[int]) -> tuple[int, ...]:
    places = [place for place in candidates(ours, names) if place not in taken]
    if not places:
        return ()
    alike = [place for place in places if plain_name(names[place]) == plain_name(names[places[0]])]
    if len(alike) > 1:
        both = " and ".join(f"'{names[place]}'" for place in alike)
        raise DataError(f"columns {both} could each be {ours}; choose one in data.columns")
    return (places[0],)


def _parts_of_volume(names: Sequence[str], taken: set[int]) -> tuple[int, ...]:
    plain = [plain_name(name) for name in names]
    is_there = all(plain.count(part) == 1 for part in _PARTS_OF_VOLUME)
    parts = tuple(map(plain.index, _PARTS_OF_VOLUME)) if is_there else ()
    return () if taken & set(parts) else parts


def _volumes(plain: list[str], known: list[int]) -> list[int]:
    # "Volume BTC", "Volume_(Currency)": the unit is part of the name; goods before money.
    units = {
        place: name.removeprefix("volume").removeprefix("vol")
        for place, name in enumerate(plain)
        if name.startswith("vol") and place not in known and not name.startswith("volat")
    }
    return sorted(units, key=lambda place: units[place] in _QUOTES)


def mapped_places(ours: str, names: Sequence[str], theirs: str) -> tuple[int, ...]:
    """Return the positions that a value of `data.columns` names.

    Raises:
        DataError: no such column.
    """
    theirs = str(theirs)
    if theirs in names:
        if list(names).count(theirs) > 1:
            places = ", ".join(str(place) for place, name in enumerate(names) if name == theirs)
            raise DataError(f"data.columns.{ours} names '{theirs}', which is there twice; give its position: {places}")
        return (list(names).index(theirs),)
    if theirs.isdigit() and int(theirs) < len(names):
        return (int(theirs),)
    parts = [part.strip() for part in theirs.split("+")]
    if len(parts) > 1:
        return tuple(chain.from_iterable(mapped_places(ours, names, part) for part in parts))
    near = get_close_matches(theirs, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; its columns are {_listed(names)}"
    raise DataError(f"data.columns.{ours} names '{theirs}', which is not there{hint}")


def _missing(missing: Sequence[str], names: Sequence[str], found: Places, usual: Mapping[str, str] | None) -> str:
    taken = set(chain.from_iterable(found.values()))
    free = next((place for place in range(len(names)) if place not in taken), 0)
    is_nameless = all(map(str.isdigit, names))
    listing = "it has no header, and its columns are" if is_nameless else "its columns are"
    named = usual or {missing[0]: names[free] or str(free)}
    example = "{" + ", ".join(f"{ours}: '{theirs}'" for ours, theirs in named.items()) + "}"
    return (
        f"no column found for {', '.join(missing)}; {listing} {_listed(names)}; name them in data.columns, for"
        f" example {example}{' if they stand in that order' if usual else ''}"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name or f"(unnamed, {place})" for place, name in enumerate(names))
