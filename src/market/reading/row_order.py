"""Which column is which in a text file without a line of names: told by all of its rows, or not at all.

The usual order is time, open, high, low, close, volume. It is taken only where no other fits: the times run one way,
the second and third price alone are highest and lowest of every bar, bars open near where the last one closed, and the
column of volume does not move as a price does.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import COLUMNS, PRICE_COLUMNS, FloatArray
from src.market.reading.files.raw_table import RawTable
from src.market.reading.numbers import read_numbers
from src.market.reading.times.time_column import joined, time_places
from src.market.reading.times.timestamps import read_times
from src.market.reading.volume import is_average_price

_MIN_ROWS = 10  # with fewer, several orders fit by chance
_NEARLY_ALL = 0.99  # of the rows; the others may be damaged
_ONE_WAY = 0.9  # of the steps in time
_SAMPLED = 10_000  # rows whose times are looked at
_NEARER = 0.8  # at most, of the jumps between bars were open and close exchanged
_STEADY = 0.01  # a bar, by which an adjusted close moves away from the close at most, and volume more


def usual_positions(table: RawTable) -> dict[str, str]:
    """Return the usual order of a row as `data.columns` names it; time is `0+1` where a date and a time lie apart."""
    width = len(table.names)
    places = time_places(table.cells, ["date", "time", *map(str, range(2, width))][:width], {"open_time": (0,)})
    behind = zip(COLUMNS[1:], range(len(places), width), strict=False)
    return {"open_time": "+".join(map(str, places)), **{ours: str(place) for ours, place in behind}}


def has_usual_order(
    table: RawTable, positions: Mapping[str, str], decimal: str | None, time_format: str | None
) -> bool:
    """Say whether the rows of a table can only be bars in the usual order.

    Args:
        table: rows without names.
        positions: as `usual_positions` returns them.
        decimal: the sign between whole and fraction, `data.decimal`.
        time_format: as in `data.time_format`.
    """
    if not set(PRICE_COLUMNS) <= set(positions) or len(table.cells) < _MIN_ROWS:
        return False
    times = [int(place) for place in positions["open_time"].split("+")]
    places = [int(place) for ours, place in positions.items() if ours != "open_time"]
    try:
        direction = _direction(table, times, time_format)
        numbers = read_numbers(table.columns(places), decimal).columns
    except DataError:
        return False
    columns = np.stack([numbers[place] for place in places])[:, :: direction or 1]
    columns = columns[:, np.isfinite(columns[:4]).all(axis=0)]
    return direction != 0 and columns.shape[1] >= _MIN_ROWS and _are_candles(columns[:4]) and not _is_price(columns)


def _direction(table: RawTable, places: list[int], time_format: str | None) -> int:
    # 1 where times rise, -1 where they fall, 0 where they do neither.
    stride = -(-len(table.cells) // _SAMPLED)
    steps = np.diff(read_times(joined(table.cells.iloc[::stride], table.names, places), time_format).utc_ms)
    for direction in (1, -1):
        if steps.any() and (direction * steps[steps != 0] > 0).mean() >= _ONE_WAY:
            return direction
    return 0


def _are_candles(prices: NDArray[np.float64]) -> bool:
    # (4, T) in order of time.
    highest = [bool(share >= _NEARLY_ALL) for share in (prices >= prices.max(axis=0)).mean(axis=1)]
    lowest = [bool(share >= _NEARLY_ALL) for share in (prices <= prices.min(axis=0)).mean(axis=1)]
    opened, close = prices[0], prices[3]
    jumps, exchanged = np.abs(opened[1:] - close[:-1]).mean(), np.abs(close[1:] - opened[:-1]).mean()
    is_open_first = bool(jumps < _NEARER * exchanged)
    return highest == [False, True, False, False] and lowest == [False, False, True, False] and is_open_first


def _is_price(columns: NDArray[np.float64]) -> bool:
    # Whether the column behind the four prices is one more: an average, an adjusted close, an ask.
    if len(columns) < 5 or np.ptp(columns[4]) == 0:
        return False
    _, high, low, close, volume = columns
    return is_average_price(volume, {"high": high, "low": low}) or _moves_as(volume, close)


def _moves_as(values: FloatArray, close: FloatArray) -> bool:
    positive = (values > 0) & (close > 0)
    if positive.mean() < _NEARLY_ALL:
        return False
    apart = np.log(values[positive] / close[positive])
    return bool(np.median(np.abs(np.diff(apart))) < _STEADY)
