"""Reading price files of many shapes into one raw frame, with what they were taken for (`understanding.py`).

Here a file is refused only if it cannot be understood; its rows are judged later (`quality.py`).
"""

import csv
import gzip
import io
import json
import warnings
import zlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow

from src.config.data import DataConfig
from src.errors import DataError
from src.market.reading.column_names import COLUMNS, match_columns
from src.market.reading.timestamps import to_milliseconds
from src.market.reading.understanding import Reading, Understanding

_HEADER_LINES = 5  # lines among which a header is looked for, below a preface such as CryptoDataDownload's
_DELIMITERS = ",;\t|"
_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    csv.Error,
    zlib.error,
    pyarrow.ArrowException,
    pd.errors.ParserWarning,
)
_KLINE_COLUMNS = list(COLUMNS)  # order of the numbers in a JSON row, as exchanges send them


def understand_file(path: Path, data: DataConfig) -> Reading:
    """Read a price file: `.csv`, `.parquet`, `.feather` or `.json`, the first and last also with `.gz`.

    Times are the opening times of the bars: numbers since 1970 in s, ms, us or ns (told apart by size), `yyyymmdd`,
    ISO strings, or datetime columns; without a zone they are UTC. JSON holds rows `[time, o, h, l, c, v]` or records.
    A file without volume (foreign exchange has none) gets zeros, and a remark.

    Args:
        data: `columns` maps our names to the file's, where they are not recognised; positions "0", "1", ... without a
            header.

    Raises:
        DataError: the file is missing or unreadable, a column is missing, or a time cannot be read.
    """
    require_file(path)
    try:
        return understand_table(_read_table(path, data.columns), path.name, data)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def require_file(path: Path) -> None:
    """Refuse a price file that is not there.

    Raises:
        DataError: naming the nearest one that is.
    """
    if not path.is_file():
        raise DataError(f"{path} is not an existing file{_nearest_file(path)}; check data.path and symbol")


def understand_table(table: pd.DataFrame, name: str, data: DataConfig) -> Reading:
    """Read a table of bars in any of the shapes that `understand_file` understands.

    Args:
        table: one row a bar; times are a column, or an index that is more than a count of rows.
        name: what remarks call it.
        data: as for `understand_file`.

    Raises:
        DataError: a column is missing, or a time cannot be read.
    """
    table = _with_index(table, data.columns).reset_index(drop=True)
    found = match_columns([str(column) for column in table.columns], data.columns)
    raw = pd.DataFrame({"open_time": to_milliseconds(table.iloc[:, found["open_time"]])})
    for column in COLUMNS[1:]:
        raw[column] = _numbers(table.iloc[:, found[column]]) if column in found else 0.0
    remarks = () if "volume" in found else ("has no volume column; volume is 0 throughout",)
    columns = {ours: str(table.columns[place]) for ours, place in found.items()}
    others = table.iloc[:, [place for place in range(table.shape[1]) if place not in found.values()]]
    return Reading(raw, Understanding(name, columns, others=others, remarks=remarks))


def _with_index(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    # An index without a name holds the times where no column does.
    if isinstance(table.index, pd.RangeIndex):
        return table
    if list(table.index.names) != [None]:
        return table.reset_index()
    try:
        match_columns([str(column) for column in table.columns], columns)
    except DataError:
        return table.reset_index(names="open_time")
    return table


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column, errors="coerce").astype("float64")


def _read_table(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    read = _reader(path)
    try:
        return read(path, columns)
    except _READ_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot be read ({reason}); is it complete, and of the kind its name says?") from error


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f", nor does the folder {path.parent}"
    near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _reader(path: Path) -> Callable[[Path, Mapping[str, str]], pd.DataFrame]:
    for suffix, reader in _READERS.items():
        if path.name.lower().endswith(suffix):
            return reader
    raise DataError(f"unknown kind of file; known endings: {', '.join(_READERS)}")


def _read_csv(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    text = _text(path)
    lines = [line for line in islice(io.StringIO(text), _HEADER_LINES) if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    delimiter = max(_DELIMITERS, key=lines[-1].count)
    header = _header_line(list(csv.reader(lines, delimiter=delimiter)), columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut short
        return pd.read_csv(io.StringIO(text), sep=delimiter, header=header, index_col=False, low_memory=False)


def _header_line(lines: list[list[str]], columns: Mapping[str, str]) -> int | None:
    # The line that names the columns; None where the first line is data already.
    if 2 * sum(map(_is_number, lines[0])) > len(lines[0]):
        return None
    for number, names in enumerate(lines):
        try:
            match_columns(names, columns)
        except DataError:
            continue
        return number
    match_columns(max(lines, key=len), columns)  # raises, naming the columns of the likeliest header
    raise AssertionError("unreachable: every line was refused above")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_json(path: Path, _columns: Mapping[str, str]) -> pd.DataFrame:
    rows = json.loads(_text(path))
    if not isinstance(rows, list) or not rows:
        raise ValueError("it holds no list of bars")
    if isinstance(rows[0], dict):
        return pd.DataFrame(rows)
    table = pd.DataFrame(rows)
    if table.shape[1] < len(_KLINE_COLUMNS):
        raise ValueError(f"its rows are not [time, open, high, low, close, volume] but {rows[0]!r:.80}")
    return table.iloc[:, : len(_KLINE_COLUMNS)].set_axis(_KLINE_COLUMNS, axis=1)


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")


_READERS: dict[str, Callable[[Path, Mapping[str, str]], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": lambda path, _: pd.read_parquet(path),
    ".feather": lambda path, _: pd.read_feather(path),
    ".json": _read_json,
    ".json.gz": _read_json,
}
