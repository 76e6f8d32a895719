"""From a file, or a table in memory, to cells and names of columns; what they mean is not asked here."""

import csv
import zlib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

import pandas as pd
import pyarrow

from src.errors import DataError
from src.market.reading.column_names import candidates, merged_names
from src.market.reading.files.csv_table import read_csv
from src.market.reading.files.encoding import read_text
from src.market.reading.files.json_table import ROW, read_json

_READ_ERRORS = (
    OSError, EOFError, ValueError, NotImplementedError, csv.Error, zlib.error, BadZipFile, pyarrow.ArrowException,
)  # fmt: skip
_SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
_IS_ENCRYPTED = 0x1  # among the flags of a member of a zip


_Reader = Callable[[Path, str | None], "RawTable"]


class RawTable(NamedTuple):
    """Cells and names; numbers may be numbers or text, times whatever they are."""

    cells: pd.DataFrame  # (T, C) columns called by position
    names: list[str]  # (C,) as the file has them
    layout: str = ""
    is_nameless: bool = False  # a text file that begins with rows: nothing names its columns
    by_position: Mapping[str, str] = MappingProxyType({})  # as `data.columns` would say it, where rows have no names
    remark: str = ""  # what of the file was left out

    def columns(self, places: Iterable[int]) -> dict[int, pd.Series]:
        """Return columns (T,) by position, called as the file calls them."""
        return {place: self.cells.iloc[:, place].rename(self.names[place]) for place in places}


def table_of_file(path: Path, decimal: str | None = None) -> RawTable:
    """Read a file of a kind that its name tells; `decimal` is the sign between whole and fraction where it is known.

    Raises:
        DataError: it is missing, of an unknown kind, or cannot be read.
    """
    require_file(path)
    read = _reader(path)
    try:
        return read(path, decimal)
    except _READ_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot be read ({reason}); is it complete, and of the kind its name says?") from error


def require_file(path: Path) -> None:
    """Refuse a price file that is not there.

    Raises:
        DataError: naming the nearest one that is.
    """
    if not path.is_file():
        raise DataError(f"{path} is not an existing file{_nearest_file(path)}; check data.path and symbol")


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f", nor does the folder {path.parent}"
    near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _reader(path: Path) -> _Reader:
    for suffix, reader in _READERS.items():
        if path.name.lower().endswith(suffix):
            return reader
    if path.suffix.lower() in _SPREADSHEETS:
        raise DataError(f"a spreadsheet ({path.suffix}) is not read; save the sheet that holds the bars as .csv")
    raise DataError(f"unknown kind of file; known endings: {', '.join(_READERS)}")


def _of_zip(path: Path, decimal: str | None) -> RawTable:
    with ZipFile(path) as archive, TemporaryDirectory() as folder:
        known = [member for member in archive.infolist() if _is_price_file(member.filename)]
        if len(known) != 1:
            listed = ", ".join(member.filename for member in known[:5]) or "none"
            raise DataError(f"it holds {len(known)} price files, {listed}; unpack it and name one file")
        if known[0].flag_bits & _IS_ENCRYPTED:
            raise DataError(f"{known[0].filename} in it is locked by a password; unpack it")
        inside = Path(archive.extract(known[0], folder))
        table = _reader(inside)(inside, decimal)
    return table._replace(layout=f"{known[0].filename} in a zip, {table.layout}")


def _is_price_file(member: str) -> bool:
    name = PurePosixPath(member)
    is_hidden = name.name.startswith(".") or name.parts[0] == "__MACOSX"
    return not is_hidden and member.lower().endswith(tuple(ending for ending in _READERS if ending != ".zip"))


def _of_csv(path: Path, decimal: str | None) -> RawTable:
    text = read_text(path)
    cells, layout, foot = read_csv(text, decimal)
    delimiter = "a tab" if layout.delimiter == "\t" else f"'{layout.delimiter}'"
    header = f"{len(layout.header)} line(s) of names" if layout.header else "no line of names"
    names = merged_names(layout.header, layout.width)
    told = f"{len(foot)} line(s) below the rows are left out, first '{foot[0]:.60}'" if foot else ""
    kind = f"{text.encoding}, cells apart by {delimiter}, {header}"
    return RawTable(cells, names, kind, is_nameless=layout.skipped == 0, remark=told)


def _of_json(path: Path, _decimal: str | None) -> RawTable:
    text = read_text(path)
    bars = read_json(text)
    where = f"JSON, bars in {bars.path}" if bars.path else "JSON"
    names = [str(name) for name in bars.table.columns]
    usual = {} if bars.has_names else {ours: str(place) for ours, place in zip(ROW, range(len(names)), strict=False)}
    return RawTable(_numbered(bars.table), names, where, by_position=usual)


def table_of_frame(table: pd.DataFrame, layout: str = "table") -> RawTable:
    """Return a table in memory; an index that is more than a count of rows becomes columns."""
    levels = table.columns.nlevels
    lines = [[str(label) for label in table.columns.get_level_values(level)] for level in range(levels)]
    names = merged_names(lines, table.shape[1])
    cells = _numbered(table.reset_index(drop=True))
    if isinstance(table.index, pd.RangeIndex):
        return RawTable(cells, names, layout)
    index = table.index.to_frame(index=False)
    called = ["" if name is None else str(name) for name in table.index.names]
    if called == [""] and candidates("open_time", names):  # rows that were counted elsewhere
        return RawTable(cells, names, layout)
    return RawTable(_numbered(pd.concat([index, cells], axis=1)), [*called, *names], layout)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis([str(place) for place in range(table.shape[1])], axis=1)


_READERS: dict[str, _Reader] = {
    ".csv": _of_csv,
    ".csv.gz": _of_csv,
    ".txt": _of_csv,
    ".txt.gz": _of_csv,
    ".tsv": _of_csv,
    ".tsv.gz": _of_csv,
    ".parquet": lambda path, _: table_of_frame(pd.read_parquet(path), "parquet"),
    ".feather": lambda path, _: table_of_frame(pd.read_feather(path), "feather"),
    ".json": _of_json,
    ".json.gz": _of_json,
    ".jsonl": _of_json,
    ".jsonl.gz": _of_json,
    ".ndjson": _of_json,
    ".ndjson.gz": _of_json,
    ".zip": _of_zip,
}
