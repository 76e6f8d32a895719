"""Prices and volumes however they are written: decimal comma, thousands, K/M/B, currency signs.

The decimal sign of a column is decided by all of its cells, and where these could be read either way, by the other
columns.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from src.errors import DataError
from src.market.bars import FloatArray

_DECORATION = r"[\s\x{00A0}\x{202F}'’\"$€£¥₹₿%]|(USDT?|EUR|GBP)$"
_EXPONENTS = {"[kK]$": "e3", "[mM]$": "e6", "[bB]$": "e9", "[tT]$": "e12"}
_NUMBER = r"^[-+]?((\d+|\d{1,3}(,\d{2,3})*,\d{3})(\.\d*)?|\.\d+)([eE][-+]?\d+)?$"


def _shows_decimal(sign: str, other: str) -> str:
    # What shows a sign to be decimal: the other stands before it, or repeatedly, or not three digits follow, or more
    # than three or a zero lead.
    d, o = re.escape(sign), re.escape(other)
    return rf"{o}.*{d}|{o}\d{{3}}{o}|^\D*0{d}\d|\d{{4}}{d}|^[^{d}]*{d}(\d{{1,2}}|\d{{4,}})([^\d{d}]|$)"


_DECIMAL_COMMA, _DECIMAL_POINT = _shows_decimal(",", "."), _shows_decimal(".", ",")
_GROUPED = r"^([-+]?\d{1,3}(\.\d{3})*)?$"
_EMPTY = r"^\s*(nan|null|none|n/?a|-+)?\s*$"
_HEAD = 1_000


class Numbers(NamedTuple):
    """Columns of numbers by position, (T,) each, NaN where a cell is none, and what was assumed to read them."""

    columns: dict[int, FloatArray]
    remarks: tuple[str, ...]


def read_numbers(columns: Mapping[int, pd.Series], decimal: str | None = None) -> Numbers:
    """Return columns as numbers.

    Args:
        columns: numbers or text, by position, called as the file calls them.
        decimal: the sign between whole and fraction, `.` or `,`; None decides by the file.

    Raises:
        DataError: `1,234` may be a thousand or a fraction and nothing in the file says which; or most cells of a
            column that holds something are no numbers. Every reason is told.
    """
    texts = {place: _texts(column) for place, column in columns.items() if not _is_number(column)}
    own = {place: decimal or _decimal_sign(str(columns[place].name), cells) for place, cells in texts.items()}
    if len(texts) == len(columns) and not any(own.values()):
        own = {place: "," if points_separate_thousands(cells) else "" for place, cells in texts.items()}
    unclear = [texts[place] for place, sign in own.items() if not sign and _has_separator(texts[place])]
    common = _common_sign(unclear, own.values()) if unclear else "."
    remarks, reasons, values = [], [], {}
    if not decimal:
        remarks.append(_of_separators(texts, own, common))
    for place, column in columns.items():
        if place not in texts:
            values[place] = column.to_numpy(np.float64, na_value=np.nan)
            continue
        try:
            values[place] = _read(str(column.name), texts[place], own[place] or common, remarks)
        except DataError as error:
            reasons.append(str(error))
    if reasons:
        raise DataError(" | ".join(reasons))
    return Numbers(values, tuple(filter(None, remarks)))


def points_separate_thousands(cells: pa.Array) -> bool:
    """Say whether points can only separate thousands: nobody who means decimals writes both `522` and `2.370`."""
    distinct = compute.unique(cells).drop_null()
    pointed = distinct.filter(compute.match_substring(distinct, "."))
    whole = distinct.filter(compute.match_substring_regex(distinct, r"^[-+]?[1-9]\d{0,2}$"))
    ends_in_zero = compute.any(compute.ends_with(pointed, "0")).as_py()
    return bool(len(whole) and ends_in_zero and compute.all(compute.match_substring_regex(distinct, _GROUPED)).as_py())


def _of_separators(texts: Mapping[int, pa.Array], own: Mapping[int, str], common: str) -> str:
    for place, cells in texts.items():
        if _has(cells, ","):
            meaning = "separate thousands" if (own[place] or common) == "." else "are decimal signs"
            return f"commas in numbers {meaning} (first '{_first(cells, ',')}'); data.decimal decides otherwise"
    for place, cells in texts.items():
        if (own[place] or common) == "," and _has(cells, "."):
            return (
                f"points in numbers separate thousands (first '{_first(cells, '.')}'); data.decimal decides otherwise"
            )
    return ""


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _texts(column: pd.Series) -> pa.Array:
    cells = column if isinstance(column.dtype, pd.StringDtype) else column.map(str, na_action="ignore").astype("str")
    array = pa.array(cells, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _decimal_sign(name: str, cells: pa.Array) -> str:
    # As the cells of a column show it; '' where they could be read either way.
    comma, point = _first_match(cells, _DECIMAL_COMMA), _first_match(cells, _DECIMAL_POINT)
    if comma and point:
        raise DataError(
            f"numbers of '{name}' are written in two ways, '{comma}' and '{point}'; say which sign is decimal with"
            " data.decimal"
        )
    return "," if comma else "." if point else ""


def _common_sign(unclear: Sequence[pa.Array], own: Iterable[str]) -> str:
    # Of columns that could be read either way.
    shown = set(own) - {""}
    if len(shown) == 1:
        return shown.pop()
    with_comma = next((cells for cells in unclear if _has(cells, ",")), None)
    if not shown and with_comma is None:
        return "."
    first = _first(unclear[0], ".") if with_comma is None else _first(with_comma, ",")
    raise DataError(
        f"'{first}' may be a thousand or a fraction, and no number of the file says which; say which sign is decimal,"
        " data.decimal='.' or data.decimal=','"
    )


def _first_match(cells: pa.Array, pattern: str) -> str:
    distinct = compute.unique(cells)
    found = distinct.filter(compute.match_substring_regex(_tidied(distinct), pattern))
    return str(found[0]) if len(found) else ""


def _read(name: str, cells: pa.Array, sign: str, remarks: list[str]) -> FloatArray:
    try:
        return _floats(cells) if sign == "." else _floats(_exchanged(cells))
    except pa.ArrowInvalid:
        pass
    tidied = _tidied(cells)
    tidied = tidied if sign == "." else _exchanged(tidied)
    for unit, exponent in _EXPONENTS.items():
        with_unit = compute.match_substring_regex(tidied, r"\d\s*" + unit)
        if compute.any(with_unit).as_py():
            first = cells.filter(with_unit)[0]
            remarks.append(f"'{first}' in '{name}' is read as a number times 1{exponent}")
            tidied = compute.replace_substring_regex(tidied, unit, exponent)
    is_number = compute.match_substring_regex(tidied, _NUMBER)
    _require_numbers(name, cells, is_number)
    return _floats(compute.replace_substring(compute.if_else(is_number, tidied, None), ",", ""))


def _floats(cells: pa.Array) -> FloatArray:
    compute.cast(cells[:_HEAD], pa.float64())  # what fails on all rows fails slowly
    values: FloatArray = compute.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    return values


def _tidied(cells: pa.Array) -> pa.Array:
    return compute.replace_substring_regex(cells, _DECORATION, "")


def _exchanged(cells: pa.Array) -> pa.Array:
    # "1.234,5" as "1,234.5"
    for old, new in ((",", "\0"), (".", ","), ("\0", ".")):
        cells = compute.replace_substring(cells, old, new)
    return cells


def _require_numbers(name: str, cells: pa.Array, is_number: pa.Array) -> None:
    is_known = compute.or_(is_number, compute.match_substring_regex(cells, _EMPTY, ignore_case=True))
    strange = cells.filter(compute.invert(compute.fill_null(is_known, True)))
    if 2 * len(strange) > len(cells):
        raise DataError(f"column '{name}' holds '{strange[0]}', which is no number; choose another in data.columns")


def _has_separator(cells: pa.Array) -> bool:
    return _has(cells, ",") or _has(cells, ".")


def _has(cells: pa.Array, sign: str) -> bool:
    return bool(compute.any(compute.match_substring(cells, sign)).as_py())


def _first(cells: pa.Array, sign: str) -> str:
    return str(cells.filter(compute.match_substring(cells, sign))[0])
