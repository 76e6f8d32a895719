"""Whether a file holds several markets, which a column of names tells apart; and taking one of them."""

import re
from difflib import get_close_matches

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import symbol_id
from src.market.quality.defects import is_rising
from src.market.reading.understanding import Reading

# Columns that name what is traded, in letters and digits alone. Other columns of text must show it by their rows.
_NAMES = {
    *("symbol", "ticker", "tickers", "tic", "name", "code", "stockcode", "tscode", "instrument", "instid", "product"),
    *("asset", "pair", "market", "currencypair", "contract", "security", "isin", "ric", "figi", "permno", "cusip"),
}  # fmt: skip
LEAP = 1.5  # factor of the price from one label to the next, from which on they are several markets
_SHOWN = 3  # names in a sentence


def take_symbol(reading: Reading, column: str, symbol: str) -> Reading:
    """Return the rows of one market; they keep their row numbers.

    Args:
        column: of the file, which names the market of each row.
        symbol: in any spelling.

    Raises:
        DataError: there is no such column, or the symbol is not in it.
    """
    others = reading.understood.others
    if column not in others.columns:
        near = get_close_matches(column, list(map(str, others.columns)), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise DataError(f"data.columns.symbol names '{column}', which is not there{hint}")
    labels = others[column]
    names = _names(labels)
    ours = [name for name in names if _identity(name) == symbol_id(symbol)]
    if not ours:
        near = get_close_matches(symbol, names, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise DataError(f"symbol '{symbol}' is not in column '{column}'{hint} It holds {_listed(names)}")
    rows = labels.astype(str).isin(ours).to_numpy()
    return reading.of_rows(rows)


def several_markets(reading: Reading) -> str:
    """Say which column tells several markets apart, with remedy; empty where the file holds one."""
    others = reading.understood.others
    for column in others.columns:
        labels = others[column]
        if not _is_label(column, labels):
            continue
        names = _names(labels)
        if len({_identity(name) for name in names}) < 2 or not _tells_apart(str(column), labels, names, reading.frame):
            continue
        return (
            f"column '{column}' holds {_listed(names)}: several markets in one file; choose one with"
            f" \"data.columns={{symbol: '{column}'}}\" and, for example, symbol={names[0]}"
        )
    return ""


def _is_label(column: object, labels: pd.Series) -> bool:
    is_text = not pd.api.types.is_numeric_dtype(labels) and not pd.api.types.is_datetime64_any_dtype(labels)
    return is_text or _is_name(str(column))


def _is_name(column: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", column.lower()) in _NAMES


def _tells_apart(column: str, labels: pd.Series, names: list[str], frame: pd.DataFrame) -> bool:
    # By its name; or because times repeat, but not under one label; or because prices leap from one label to the next.
    if 2 * len(names) > len(labels):
        return False  # a text for each row is no label
    codes = pd.factorize(labels)[0]
    return _is_name(column) or _times_repeat(frame, codes) or _prices_leap(frame, codes, len(names))


def _times_repeat(frame: pd.DataFrame, codes: NDArray[np.intp]) -> bool:
    times = frame["open_time"]
    if is_rising(times.to_numpy()) or not times.duplicated().any():
        return False
    return not pd.DataFrame({"time": times.to_numpy(), "label": codes}).duplicated().any()


def _prices_leap(frame: pd.DataFrame, codes: NDArray[np.intp], count: int) -> bool:
    order = np.argsort(frame["open_time"].to_numpy(), kind="stable")
    codes, opened, close = codes[order], frame["open"].to_numpy()[order], frame["close"].to_numpy()[order]
    changes = 1 + np.flatnonzero(codes[1:] != codes[:-1])
    if len(changes) != count - 1:
        return False  # the labels come and go: a session, a weekday
    factor = opened[changes] / close[changes - 1]
    return bool(((factor > LEAP) | (factor < 1 / LEAP)).any())


def _names(labels: pd.Series) -> list[str]:
    return [str(name) for name in pd.unique(labels.dropna())]


def _identity(name: str) -> str:
    try:
        return symbol_id(name)
    except DataError:  # neither letter nor digit
        return name


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
