"""`CandleFeed`: closed candles of one market, in order, each handed out once.

A candle counts once it has closed by the exchange's clock. Rows that are garbage, doubled, out of order or still
forming are dealt with where they are read (`market.history.exchange_bars`). A candle that comes back with other values
than it was decided on keeps its first ones, for books and replay; a missing one is asked for twice and then taken for
missing.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, islice, pairwise
from typing import NamedTuple

import numpy as np

from src.errors import DataError
from src.market.bar_source import BarSource
from src.market.bars import COLUMNS, BarSeries

KEEP_EXTRA = 64  # bars kept beyond the history asked for

Row = tuple[float, ...]  # open time in ms, open, high, low, close, volume


class Poll(NamedTuple):
    """What one look at the exchange brought."""

    now_ms: int
    fresh: list[Row]
    remarks: list[str]  # gaps and revisions, for people


class CandleFeed:
    """The candles known so far.

    Args:
        source: connected.
        known: closed candles from the journal, in order of time.
    """

    def __init__(self, source: BarSource, known: Iterable[Row] = ()) -> None:
        self.source = source
        self._rows: deque[Row] = deque(known)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def last_open(self) -> int | None:
        """Opening time of the newest candle."""
        return int(self._rows[-1][0]) if self._rows else None

    def backfill(self, count: int) -> None:
        """See to it that at least `count` candles are known, as far back as the exchange remembers.

        Raises:
            DataError: it has fewer, or cannot be read.
        """
        if len(self._rows) < count:
            now, step = self.source.now(), self.source.step_ms
            newest = self.last_open
            since = (newest if newest is not None else now) - (count + 1) * step
            older = self._closed_since(since, now if newest is None else newest)
            known = {row[0] for row in self._rows}
            self._rows = deque(sorted([*self._rows, *(row for row in older if row[0] not in known)]))
        if len(self._rows) < count:
            raise DataError(
                f"{self.source.symbol}: the model needs {count} closed candles and the exchange sent {len(self._rows)};"
                " wait until there are more, or train with features of a shorter memory"
            )

    def poll(self) -> Poll:
        """Ask for candles that have closed since the newest one known."""
        now, step = self.source.now(), self.source.step_ms
        last = self.last_open
        assert last is not None, "backfill before polling"
        if now < last + 2 * step:
            return Poll(now, [], [])
        rows, remarks = self._closed_since(last, now), []
        if _gaps(last, rows, step):
            rows = self._closed_since(last, now)  # the exchange may just have been late
            remarks = [f"{missing} candles are missing before {int(time)}" for time, missing in _gaps(last, rows, step)]
        for row in rows:
            if row[0] == last and row != self._rows[-1]:
                remarks.append(f"the candle of {last} was revised to {row[1:]} after it was decided on")
        fresh = [row for row in rows if row[0] > last]
        self._rows.extend(fresh)
        return Poll(now, fresh, remarks)

    def forget_before(self, count: int) -> None:
        """Keep the last `count` candles and some."""
        while len(self._rows) > count + KEEP_EXTRA:
            self._rows.popleft()

    def rows_after(self, open_time: int) -> list[Row]:
        """Return the candles that opened after a time."""
        return [row for row in self._rows if row[0] > open_time]

    def series(self, until_open: int, count: int) -> BarSeries:
        """Return the `count` candles that end with the one that opened at `until_open`, fewer if there are fewer."""
        newest_first = (row for row in reversed(self._rows) if row[0] <= until_open)
        return series_of(self.source.symbol, self.source.timeframe, list(islice(newest_first, count))[::-1])

    def _closed_since(self, since: int, now: int) -> list[Row]:
        rows: list[Row] = []
        while True:
            page = self.source.page(since)
            table = page[list(COLUMNS)].to_numpy()
            closed = [(int(row[0]), *map(float, row[1:])) for row in table if row[0] + self.source.step_ms <= now]
            fresh = [row for row in closed if not rows or row[0] > rows[-1][0]]
            rows.extend(fresh)
            if not fresh or len(closed) < len(table):
                return rows
            since = int(rows[-1][0])


def series_of(symbol: str, timeframe: str, rows: Sequence[Row]) -> BarSeries:
    """Return rows of candles as a series."""
    columns = np.fromiter(chain.from_iterable(rows), np.float64, 6 * len(rows)).reshape(-1, 6).T
    return BarSeries(symbol, timeframe, columns[0].astype(np.int64), *columns[1:])


def _gaps(last: int, rows: Sequence[Row], step: int) -> list[tuple[float, int]]:
    # Where candles are missing after `last`: (time of the next one, how many).
    times = [last, *(row[0] for row in rows if row[0] > last)]
    return [(b, round((b - a) / step) - 1) for a, b in pairwise(times) if b - a > step]
