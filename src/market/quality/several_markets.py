"""Whether a file holds several markets, which a column of names tells apart; and taking one of them."""

import re
from difflib import get_close_matches

import numpy as np
import pandas as pd

from src.errors import DataError
from src.market.bars import symbol_id
from src.market.quality.defects import is_rising
from src.market.reading.understanding import Reading

# Columns that name what is traded, in letters and digits alone. Other columns of text must show it by their rows.
_NAMES = {
    *("symbol", "ticker", "tickers", "tic", "name", "code", "stockcode", "tscode", "instrument", "instid", "product"),
    *("asset", "pair", "market", "currencypair", "contract", "security", "isin", "ric", "figi", "permno", "cusip"),
    *("stock", "stockid", "sid", "secid", "assetid", "symbolid", "instrumentid", "index", "company", "companyname"),
    *("coin", "crypto", "cryptocurrency", "currency", "future", "underlying", "gvkey", "actsymbol", "tradingsymbol"),
}  # fmt: skip
LEAP = 1.5  # factor of the price from one label to the next, from which on they are several markets
_SHOWN = 3  # names in a sentence
_MOST_NAMES = 50  # of markets one after the other
_LETTER = re.compile(r"[^\W\d_]")


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
    labels = others.iloc[:, others.columns.tolist().index(column)]
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
    frame, others = reading.frame, reading.understood.others
    repeat = not is_rising(frame["open_time"].to_numpy()) and bool(frame["open_time"].duplicated().any())
    for place, column in enumerate(map(str, others.columns)):
        labels = others.iloc[:, place]  # two may have one name
        if not _may_be_label(column, labels, repeat):
            continue
        names = _names(labels)
        if 2 * len(names) > len(labels) or _are_one(names):
            continue  # a text for each row, or one market
        if _is_name(column) or (_times_repeat if repeat else _prices_leap)(frame, labels, names):
            return (
                f"column '{column}' holds {_listed(names)}: several markets in one file; choose one with"
                f" \"data.columns={{symbol: '{column}'}}\" and, for example, symbol={names[0]}, or take the column"
                " out of the file if all are one market"
            )
    return ""


def _may_be_label(column: str, labels: pd.Series, repeat: bool) -> bool:
    if labels.dtype == object and not isinstance(next(iter(labels.dropna()), ""), str):
        return False  # lists and the like, as JSON has them
    is_text = not pd.api.types.is_numeric_dtype(labels) and not pd.api.types.is_datetime64_any_dtype(labels)
    return is_text or _is_name(column) or (repeat and pd.api.types.is_integer_dtype(labels))


def _is_name(column: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", column.lower()) in _NAMES


def _times_repeat(frame: pd.DataFrame, labels: pd.Series, names: list[str]) -> bool:
    # In the file, but not under one label.
    times, codes = frame["open_time"].to_numpy(), pd.factorize(labels)[0]
    return not pd.DataFrame({"time": times, "label": codes}).duplicated().any()


def _prices_leap(frame: pd.DataFrame, labels: pd.Series, names: list[str]) -> bool:
    # From one label to the next, each of which holds one stretch of time.
    if len(names) > _MOST_NAMES or not all(map(_LETTER.search, names)):
        return False  # dates, or numbers as text
    order = np.argsort(frame["open_time"].to_numpy(), kind="stable")
    codes = pd.factorize(labels)[0][order]
    opened, close = frame["open"].to_numpy()[order], frame["close"].to_numpy()[order]
    changes = 1 + np.flatnonzero(codes[1:] != codes[:-1])
    if len(changes) != len(names) - 1:
        return False  # the labels come and go: a session, a weekday
    factor = opened[changes] / close[changes - 1]
    return bool(((factor > LEAP) | (factor < 1 / LEAP)).any())


def _names(labels: pd.Series) -> list[str]:
    return [str(name) for name in pd.unique(labels.dropna())]


def _are_one(names: list[str]) -> bool:
    return not any(_identity(name) != _identity(names[0]) for name in names[1:])


def _identity(name: str) -> str:
    try:
        return symbol_id(name)
    except DataError:  # neither letter nor digit
        return name


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
