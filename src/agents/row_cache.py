"""`RowCache`: rows of a series that grows by a bar at a time, each computed once.

A row depends on the trailing window of its own bar alone, and is always computed by itself. So a row from the cache,
one computed anew after a restart, and one of a backtest over years have the same bits.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from src.market.bars import COLUMNS, BarSeries

Row = NDArray[np.float32]


class RowCache:
    """The rows of the last bars of a series.

    Cached rows are valid while the bars they were computed from come back unchanged, to the last bit; a candle that was
    revised clears the cache.

    Args:
        compute: turns a window of `history_bars` into the row of its last bar, of any fixed shape.
        history_bars: of a row, the current bar included.
    """

    def __init__(self, compute: Callable[[BarSeries], Row], history_bars: int) -> None:
        self._compute, self._history_bars = compute, history_bars
        self._bars: BarSeries | None = None
        self._rows: list[Row] = []  # of the last of these bars

    def last(self, bars: BarSeries, count: int) -> NDArray[np.float32]:
        """Return the rows of the last `count` bars, (count, ...).

        Args:
            bars: at least `history_bars + count - 1`.
        """
        first = len(bars) - count
        assert first + 1 >= self._history_bars, f"{count} rows need more than {len(bars)} bars"
        known = self._known(bars)
        self._rows = [known[row] if row in known else self._row(bars, row) for row in range(first, len(bars))]
        self._bars = bars
        return np.stack(self._rows)

    def _row(self, bars: BarSeries, row: int) -> Row:
        return self._compute(bars[row + 1 - self._history_bars : row + 1])

    def _known(self, bars: BarSeries) -> dict[int, Row]:
        # Remembered rows whose whole window lies in what both series hold, by their place in this one.
        before = self._bars
        if before is None or before.timeframe != bars.timeframe:
            return {}
        stop = int(np.searchsorted(bars.open_time, before.open_time[-1], side="right"))
        length = min(stop, len(before))
        if not _are_equal(bars, stop, before, len(before), length):
            return {}
        places = range(stop - len(self._rows), stop)
        decided = stop - length + self._history_bars - 1
        return {place: row for place, row in zip(places, self._rows, strict=True) if place >= decided}


def _are_equal(bars: BarSeries, stop: int, others: BarSeries, others_stop: int, length: int) -> bool:
    columns = ((getattr(bars, name), getattr(others, name)) for name in COLUMNS)
    return all(np.array_equal(own[stop - length : stop], other[others_stop - length :]) for own, other in columns)
