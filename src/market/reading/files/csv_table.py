"""Delimited text as a table: which delimiter, which lines are names, and where the data begins.

Everything is decided on the head of the file. The body is then read once, numbers as numbers where the head shows plain
ones; a column in which they are written in another way stays text (`numbers.py`).
"""

import csv
import io
import re
from collections import Counter
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from src.market.reading.files.encoding import Text
from src.market.reading.files.foot import is_value, without_foot
from src.market.reading.numbers import points_separate_thousands

_HEAD_BYTES = 1 << 16
_HEAD_LINES = 200
_DELIMITERS = ";\t|,"  # on equal evidence the first: a comma is also a decimal sign
_PLAIN = re.compile(r"[-+]?((0|[1-9]\d*)\.?\d*|\.\d+)(e[-+]?\d+)?|nan|", re.IGNORECASE)  # 000530 is a time
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3}){2,}")
_WHOLE = re.compile(r"[1-9]\d{7,18}")  # a time: as a float it could lose digits
_BLOCK_BYTES = 1 << 20


class Layout(NamedTuple):
    """How a text file is laid out."""

    delimiter: str
    header: list[list[str]]  # the lines of names, each as wide as the data; none where the file begins with data
    skipped: int  # lines above the data, names included
    width: int
    sample: list[list[str]]  # cells of the first lines of data


def read_csv(text: Text, decimal: str | None = None) -> tuple[pd.DataFrame, Layout, list[str]]:
    """Return a file as a table of float and text columns, named by position ("0", "1", ...), its layout and its foot.

    The foot are the last lines if they are notes or totals rather than rows; the table has none of them.

    Args:
        text: of the file.
        decimal: the sign between whole and fraction where it is known; with a comma all columns are text.

    Raises:
        ValueError: the file is empty, or a row has more or fewer cells than the others.
    """
    layout = csv_layout(text)
    body, foot = without_foot(text.data, layout.delimiter)
    if foot:
        text = text._replace(data=body)
        layout = csv_layout(text)
    names = [str(place) for place in range(layout.width)]
    types = dict(zip(names, _types(layout, decimal), strict=True))
    try:
        table = _body(text.data, layout, types)
    except pa.ArrowInvalid:  # a number that is none, or a row of another length
        table = _as_text(text.data, layout, names)
    return table, layout, foot


def _types(layout: Layout, decimal: str | None) -> list[pa.DataType]:
    # A comma within a cell may be a decimal sign, and then a point within another separates thousands: all stays text.
    columns = [[row[place] for row in layout.sample] for place in range(layout.width)]
    has_comma = any("," in cell for cells in columns for cell in cells)
    if decimal == "," or has_comma or any(map(_shows_thousands, columns)):
        return [pa.string()] * layout.width
    return [_type(cells) for cells in columns]


def _shows_thousands(cells: list[str]) -> bool:
    return any(map(_THOUSANDS.fullmatch, cells)) or points_separate_thousands(pa.array(cells, pa.string()))


def _type(cells: list[str]) -> pa.DataType:
    if cells and all(map(_WHOLE.fullmatch, cells)):
        return pa.int64()
    return pa.float64() if all(map(_PLAIN.fullmatch, cells)) else pa.string()


def csv_layout(text: Text) -> Layout:
    """Return how a text file is laid out, from its head.

    The delimiter is the one that splits the lines into the most cells that look like numbers or times. Data begins
    where most cells do; the lines above, as wide as the data, are names.

    Raises:
        ValueError: the file is empty.
    """
    lines = text.head(_HEAD_BYTES).splitlines()[:_HEAD_LINES]
    if not any(line.strip() for line in lines):
        raise ValueError("it is empty")
    best = max(_DELIMITERS, key=lambda delimiter: (_values_a_line(lines, delimiter), lines[-1].count(delimiter)))
    rows = list(csv.reader(lines, delimiter=best))
    return _layout(rows, best)


def _values_a_line(lines: list[str], delimiter: str) -> float:
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    width, count = Counter(map(len, rows)).most_common(1)[0]
    alike = [row for row in rows if len(row) == width and width > 1]
    values = sum(is_value(cell) for row in alike for cell in row)
    return values / max(len(alike), 1) * count / len(rows)


def _layout(rows: list[list[str]], delimiter: str) -> Layout:
    width = Counter(len(row) for row in rows if _is_data(row)).most_common(1)
    first = next((place for place, row in enumerate(rows) if _is_data(row) and len(row) == width[0][0]), len(rows))
    wide = width[0][0] if width else max(map(len, rows))
    sample = [row for row in rows[first:] if len(row) == wide]
    header = [_padded(row, wide, sample) for row in rows[:first] if len(row) > 1]
    return Layout(delimiter, [row for row in header if len(row) == wide], first, wide, sample)


def _padded(names: list[str], width: int, sample: list[list[str]]) -> list[str]:
    # Rows of data may end in a delimiter where the line of names does not.
    ends_empty = len(names) == width - 1 and all(not row[-1].strip() for row in sample)
    return [*names, ""] if ends_empty else names


def _is_data(row: list[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    return len(row) > 1 and bool(filled) and 2 * sum(map(is_value, filled)) > len(filled)


def _body(data: bytes, layout: Layout, types: dict[str, pa.DataType]) -> pd.DataFrame:
    table: pd.DataFrame = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, skip_rows=layout.skipped, column_names=list(types)
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=layout.delimiter),
        convert_options=arrow_csv.ConvertOptions(column_types=types, strings_can_be_null=True),
    ).to_pandas()
    return table


def _as_text(data: bytes, layout: Layout, names: list[str]) -> pd.DataFrame:
    try:
        return _body(data, layout, dict.fromkeys(names, pa.string()))
    except pa.ArrowInvalid:
        return _of_uneven_rows(data, layout, names)


def _of_uneven_rows(data: bytes, layout: Layout, names: list[str]) -> pd.DataFrame:
    # A file that was cut off ends in a short row; what is not there is empty. A row that is too long is refused.
    rows = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter=layout.delimiter))[layout.skipped :]
    filled = [row for row in rows if row]
    if long := [number for number, row in enumerate(filled) if len(row) > len(names)]:
        raise ValueError(f"row {long[0]} has {len(filled[long[0]])} cells, the others {len(names)}")
    padded = [[*(cell or None for cell in row), *[None] * (len(names) - len(row))] for row in filled]
    return pd.DataFrame(padded, columns=names)
