"""Prices and volumes however they are written: decimal comma, thousands, K/M/B, currency signs.

The decimal sign is one for all columns of a file, and is decided by the whole of it.
"""

from collections.abc import Iterable, Mapping
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
# What a comma, and after exchange of the two a point, shows to be the decimal sign: another stands before it, or not
# three digits follow, or more than three lead.
_DECIMAL_COMMA = r"\..*,|\.\d{3}\.|^\D*0,\d|\d{4},|^[^,]*,(\d{1,2}|\d{4,})(\D|$)"


_HEAD = 1_000


class Numbers(NamedTuple):
    """Columns of numbers by position, (T,) each, NaN where a cell is none, and what was assumed to read them."""

    columns: dict[int, FloatArray]
    remarks: tuple[str, ...]


def read_numbers(columns: Mapping[int, pd.Series], decimal: str | None = None, delimiter: str = "") -> Numbers:
    """Return columns as numbers.

    Args:
        columns: numbers or text, by position, called as the file calls them.
        decimal: the sign between whole and fraction, `.` or `,`; None decides by the file.
        delimiter: between the cells of the file: with `;`, `1,234` is 1.234; with a comma it is 1234.

    Raises:
        DataError: `1,234` may be a thousand or a fraction and nothing in the file says which; or most cells of a
            column that holds something are no numbers. Every reason is told.
    """
    texts = {place: _texts(column) for place, column in columns.items() if not _is_number(column)}
    sign = decimal or _decimal_sign(texts.values(), delimiter)
    remarks, reasons, values = [_of_commas(texts.values(), sign)] if not decimal else [], [], {}
    for place, column in columns.items():
        if place not in texts:
            values[place] = column.to_numpy(np.float64, na_value=np.nan)
            continue
        try:
            values[place] = _read(str(column.name), texts[place], sign, remarks)
        except DataError as error:
            reasons.append(str(error))
    if reasons:
        raise DataError(" | ".join(reasons))
    return Numbers(values, tuple(filter(None, remarks)))


def _of_commas(texts: Iterable[pa.Array], sign: str) -> str:
    with_commas = next((cells for cells in texts if _has(cells, ",")), None)
    if with_commas is None:
        return ""
    meaning = "separate thousands" if sign == "." else "are decimal signs"
    return f"commas in numbers {meaning} (first '{_first(with_commas, ',')}'); data.decimal decides otherwise"


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _texts(column: pd.Series) -> pa.Array:
    cells = column if isinstance(column.dtype, pd.StringDtype) else column.map(str, na_action="ignore").astype("str")
    array = pa.array(cells, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _decimal_sign(texts: Iterable[pa.Array], delimiter: str) -> str:
    cells = [array for array in texts if _has(array, ",")]
    if not cells:
        return "."
    every = [compute.unique(array) for array in texts]
    comma = _shows(every, _DECIMAL_COMMA)
    point = _shows(every, _DECIMAL_COMMA.replace(",", "\0").replace(r"\.", ",").replace("\0", r"\."))
    if comma and point:
        raise DataError(
            f"numbers are written in two ways, '{comma}' and '{point}'; write them all with a decimal point, or say"
            " which sign is decimal with data.decimal"
        )
    if comma or point:
        return "," if comma else "."
    if delimiter in (";", ","):
        return "," if delimiter == ";" else "."
    raise DataError(
        f"'{_first(cells[0], ',')}' may be a thousand or a fraction, and no number of the file says which; say which"
        " sign is decimal, data.decimal='.' or data.decimal=','"
    )


def _shows(columns: list[pa.Array], pattern: str) -> str:
    # The first cell that matches, else ''.
    for cells in columns:
        found = cells.filter(compute.match_substring_regex(_tidied(cells), pattern))
        if len(found):
            return str(found[0])
    return ""


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
    strange = cells.filter(compute.invert(compute.fill_null(is_number, True)))
    if 2 * len(strange) > len(cells):
        raise DataError(f"column '{name}' holds '{strange[0]}', which is no number; choose another in data.columns")


def _has(cells: pa.Array, sign: str) -> bool:
    return bool(compute.any(compute.match_substring(cells, sign)).as_py())


def _first(cells: pa.Array, sign: str) -> str:
    return str(cells.filter(compute.match_substring(cells, sign))[0])
