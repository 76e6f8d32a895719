"""Reading price files of many shapes into one raw frame, with what they were taken for (`understanding.py`).

The order of guesses, each in a module of its own: encoding and layout (`files/`), which column is which
(`column_names.py`), how numbers are written (`numbers.py`), how times are written, their zone, and when bars open
(`times/`), adjusted prices (`adjustments.py`). A file is refused here only if it cannot be understood, for all reasons
at once; its rows are judged later (`market/quality`).
"""

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from src.config.data import DataConfig
from src.errors import DataError
from src.market.bars import COLUMNS, TimeArray
from src.market.bars import PRICE_COLUMNS as PRICES
from src.market.reading.adjustments import (
    Candles,
    NamedColumn,
    adjust_candles,
    adjusted_columns,
    mixing_error,
    take_adjusted_columns,
)
from src.market.reading.column_names import CLOSE_TIME, Places, match_columns
from src.market.reading.files.raw_table import RawTable, table_of_file, table_of_frame
from src.market.reading.frames import parse_date
from src.market.reading.numbers import read_numbers
from src.market.reading.row_order import has_usual_order, usual_positions
from src.market.reading.times.bar_calendar import Opened, opening_times
from src.market.reading.times.clock import CLOSING_DOUBT, to_utc
from src.market.reading.times.exchange_session import exchange_session
from src.market.reading.times.time_column import joined, time_places
from src.market.reading.times.timestamps import read_times
from src.market.reading.understanding import Reading, Understanding
from src.market.reading.volume_column import read_volume, volume_places

T = TypeVar("T")


def understand_file(path: Path, data: DataConfig) -> Reading:
    """Read a price file: `.csv`, `.txt`, `.tsv`, `.parquet`, `.feather`, `.json` or `.jsonl`; text also with `.gz`.

    A `.zip` is read where it holds one of these.

    `docs/howto/own_data.md` lists what is guessed, in which order, and by which setting of `data` it is overridden.

    Raises:
        DataError: the file is missing or unreadable, or cannot be understood; every reason is told.
    """
    try:
        return _understood(table_of_file(path, data.decimal), path.name, data)
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from error


def understand_table(table: pd.DataFrame, name: str, data: DataConfig) -> Reading:
    """Read a table of bars as `understand_file` does a file.

    Args:
        table: one row a bar; times are a column, or an index that is more than a count of rows.
        name: what remarks call it.
        data: as for `understand_file`.

    Raises:
        DataError: it cannot be understood; every reason is told.
    """
    return _understood(table_of_frame(table), name, data)


class _Times(NamedTuple):
    """Opening times, and how they were read."""

    opened: Opened
    form: str
    zone: str
    remarks: tuple[str, ...]


class _Candles(NamedTuple):
    """Prices and volume as they stand, columns that may adjust them, and what was assumed to read them."""

    values: Candles
    adjusted_close: NamedColumn | None
    splits: NamedColumn | None
    volume: tuple[int, ...]  # positions of its column, or of those it is the sum of
    remarks: tuple[str, ...]


def _understood(table: RawTable, name: str, data: DataConfig) -> Reading:
    table, usual = _with_row_order(table, data)
    mapped = _by_position(table, data.columns) | data.columns
    found, reasons = match_columns(table.names, mapped, usual)
    found, told = take_adjusted_columns(found, table.names, mapped, data.adjust)
    if "open_time" not in mapped and (places := time_places(table.cells, table.names, found)):
        found[CLOSE_TIME if CLOSE_TIME in found else "open_time"] = places
    times = _attempt(reasons, lambda: _times(table, found, data))
    candles = _attempt(reasons, lambda: _candles(table, found, data))
    if reasons or times is None or candles is None:
        raise DataError(" | ".join(reasons))
    if mixed := mixing_error(candles.values, data.columns, table.names, found["close"][0]):
        raise DataError(mixed)
    opened = times.opened.open_ms
    splits = _until_end(candles, opened, data)
    adjusted = adjust_candles(candles.values, opened, candles.adjusted_close, splits, data.adjust)
    columns = {**found, "volume": candles.volume} if candles.volume else found
    understood = Understanding(
        name,
        {ours: " + ".join(table.names[place] for place in places) for ours, places in columns.items()},
        layout=table.layout,
        time_format=times.form,
        zone=times.zone,
        adjusted_by=adjusted.by or (told and table.names[found["close"][0]]),
        others=_others(table, columns),
        remarks=tuple(
            filter(
                None, (table.remark, *_of_rows(table, data), told, *times.remarks, *candles.remarks, *adjusted.remarks)
            )
        ),
    )
    return Reading(_frame(times.opened, adjusted.candles), understood)


def _until_end(candles: _Candles, opened: TimeArray, data: DataConfig) -> NamedColumn | None:
    # Splits that come after the bars that are used adjust none of them.
    if candles.splits is None or not data.end:
        return candles.splits
    name, ratios = candles.splits
    return name, np.where(opened < parse_date(data.end, "data.end"), ratios, 1.0)


def _attempt(reasons: list[str], read: Callable[[], T]) -> T | None:
    # What cannot be read is told together with everything else.
    try:
        return read()
    except DataError as error:
        reasons.append(str(error))
        return None


def _frame(opened: Opened, candles: Candles) -> pd.DataFrame:
    columns = {"open_time": opened.open_ms, **{name: candles[name] for name in COLUMNS[1:]}}
    return pd.DataFrame(columns if opened.grid_ms is None else {**columns, "grid_time": opened.grid_ms}, copy=False)


def _with_row_order(table: RawTable, data: DataConfig) -> tuple[RawTable, dict[str, str]]:
    # Rows of text without names: the usual order by position, taken where they can have no other and none is mapped.
    if not table.is_nameless:
        return table, {}
    usual = usual_positions(table)
    if ({*usual, CLOSE_TIME} - {"volume"}) & set(data.columns):
        return table, usual
    is_sure = has_usual_order(table, usual, data.decimal, data.time_format)
    return (table._replace(by_position=usual) if is_sure else table), usual


def _by_position(table: RawTable, mapped: Mapping[str, str]) -> dict[str, str]:
    # Rows without names: each place by our order, unless the user gave it to another column.
    return {ours: place for ours, place in table.by_position.items() if place not in mapped.values()}


def _of_rows(table: RawTable, data: DataConfig) -> tuple[str, ...]:
    if not table.by_position or set(table.by_position) <= set(data.columns):
        return ()
    time = "date, time" if "+" in table.by_position["open_time"] else "open_time"
    order = ", ".join([time, *(ours for ours in table.by_position if ours != "open_time")])
    if table.is_nameless:
        return (f"rows without names are read as [{order}], the only order that fits; data.columns names another",)
    return (f"rows without names are read as [{order}]; data.columns names other positions, such as {{open: '3'}}",)


def _others(table: RawTable, columns: Places) -> pd.DataFrame:
    taken = set(chain.from_iterable(columns.values()))
    left = [place for place in range(len(table.names)) if place not in taken]
    others = table.cells.iloc[:, left]
    return others.apply(_number_or_text).set_axis([table.names[place] for place in left], axis=1)


def _number_or_text(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (TypeError, ValueError):
        return column


# --- times ----------------------------------------------------------------------------------------------------------


def _times(table: RawTable, found: Places, data: DataConfig) -> _Times | None:
    places = found.get("open_time", found.get(CLOSE_TIME))
    if places is None:
        return None
    times = read_times(joined(table.cells, table.names, places), data.time_format)
    session = exchange_session(data.session) if data.session else None
    moments = to_utc(times, data.timezone, session)
    zone = session.zone if session else None
    is_opening = "open_time" in data.columns  # as the user says
    is_closing = "open_time" not in found or (moments.are_closing and not is_opening)
    doubt = CLOSING_DOUBT if moments.are_closing and is_opening else ""
    opened = opening_times(moments, zone, data.timeframe, is_closing)
    return _Times(opened, times.form, moments.zone, (times.remark, *moments.remarks, *opened.remarks, doubt))


# --- prices and volume ----------------------------------------------------------------------------------------------


def _candles(table: RawTable, found: Places, data: DataConfig) -> _Candles:
    adjusting = _adjusting(table, found)
    of_prices = {ours: found[ours][0] for ours in PRICES if ours in found}
    volumes = volume_places(table, found, data)
    wanted = [*of_prices.values(), *volumes, *adjusting.values()]
    numbers = read_numbers(table.columns(wanted), data.decimal)
    prices = {ours: numbers.columns[place] for ours, place in of_prices.items()}
    volume = read_volume(table, found, {place: numbers.columns[place] for place in volumes}, prices, data)
    named = {kind: (table.names[place], numbers.columns[place]) for kind, place in adjusting.items()}
    remarks = (*numbers.remarks, volume.remark)
    return _Candles(prices | {"volume": volume.values}, named.get("close"), named.get("splits"), volume.places, remarks)


def _adjusting(table: RawTable, found: Places) -> dict[str, int]:
    columns = adjusted_columns(table.names)
    taken = set(chain.from_iterable(found.values()))
    adjusting = {"close": columns.of.get("close"), "splits": columns.splits}
    return {kind: place for kind, place in adjusting.items() if place is not None and place not in taken}
