"""`CandleFeed`: closed candles of one market, in order, each handed out once.

A candle counts once it has closed by the exchange's clock. Rows that are garbage, doubled, out of order or still
forming are dealt with where they are read (`market.history.exchange_bars`). A candle that comes back with other values
than it was decided on keeps its first ones, for books and replay; a missing one is asked for twice and then taken for
missing.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import NamedTuple, Protocol

from src.errors import DataError
from src.market.bar_source import BarSource
from src.market.bars import COLUMNS, Bar, BarSeries

KEEP_EXTRA = 64  # bars kept beyond the history asked for


class Poll(NamedTuple):
    """What one look at the exchange brought."""

    fresh: list[Bar]
    remarks: list[str]  # gaps and revisions, for people


class Finished(Protocol):
    """Tells early which candles have finished, as a stream does."""

    def finished(self, open_time: int) -> Bar | None:
        """Return the candle that opened then, if it is known to have finished."""
        ...


class CandleFeed:
    """The candles known so far.

    Args:
        source: connected.
        known: closed candles from the journal, in order of time.
        settle_ms: a candle counts only so long after it has closed, since exchanges may still correct it.
        stream: a candle counts at once if the stream says the same of it as the source.
    """

    def __init__(
        self, source: BarSource, known: Iterable[Bar] = (), settle_ms: int = 0, stream: Finished | None = None
    ) -> None:
        self.source, self._settle_ms, self._stream = source, settle_ms, stream
        self._bars: deque[Bar] = deque(known)

    def __len__(self) -> int:
        return len(self._bars)

    @property
    def last_open(self) -> int | None:
        """Opening time of the newest candle."""
        return self._bars[-1].open_time if self._bars else None

    def backfill(self, count: int) -> None:
        """See to it that at least `count` candles are known, as far back as the exchange remembers.

        Where candles are missing, it goes back further, twice as far each time.

        Raises:
            DataError: it has fewer, or cannot be read.
        """
        reach = (count + 1) * self.source.step_ms
        until = self._bars[0].open_time if self._bars else self.source.now() - self._settle_ms
        newest = self.last_open or until
        while len(self._bars) < count and reach < 2 * newest:
            older = self._closed_since(max(newest - reach, 0), until)
            self._bars.extendleft(reversed(older))
            until, reach = self._bars[0].open_time if self._bars else until, 2 * reach
        if len(self._bars) < count:
            raise DataError(
                f"{self.source.symbol}: the model needs {count} closed candles and the exchange sent {len(self._bars)};"
                " wait until there are more, or train with features of a shorter memory"
            )

    def poll(self, now: int) -> Poll:
        """Ask for candles that have closed and settled by `now`, the exchange's time, since the newest one known."""
        early, step, last = self.early(now), self.source.step_ms, self.last_open
        assert last is not None, "backfill before polling"
        settled = now - self._settle_ms
        until = settled if early is None else max(settled, early.close_time)
        if until < last + 2 * step:
            return Poll([], [])
        bars, remarks = self._closed_since(last, until), []
        if until > settled:
            bars = [bar for bar in bars if bar.open_time == last or bar == early]  # else it settles first
        if _gaps(last, bars, step):
            bars = self._closed_since(last, until)  # the exchange may just have been late
            remarks = [f"{missing} candles are missing before {time}" for time, missing in _gaps(last, bars, step)]
        for bar in bars:
            if bar.open_time == last and bar != self._bars[-1]:
                values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
                remarks.append(f"the candle of {last} was revised to {values} after it was decided on")
        fresh = [bar for bar in bars if bar.open_time > last]
        self._bars.extend(fresh)
        return Poll(fresh, remarks)

    def early(self, now: int) -> Bar | None:
        """Return the next candle as the stream says it finished, if it has closed by `now`, the exchange's time."""
        if self._stream is None or self.last_open is None:
            return None
        following = self._stream.finished(self.last_open + self.source.step_ms)
        return following if following is not None and following.close_time <= now else None

    def forget_before(self, count: int) -> None:
        """Keep the last `count` candles and some."""
        while len(self._bars) > count + KEEP_EXTRA:
            self._bars.popleft()

    def bars_after(self, open_time: int) -> list[Bar]:
        """Return the candles that opened after a time."""
        return [bar for bar in self._bars if bar.open_time > open_time]

    def series(self, until_open: int, count: int) -> BarSeries:
        """Return the `count` candles that end with the one that opened at `until_open`, fewer if there are fewer."""
        newest_first = (bar for bar in reversed(self._bars) if bar.open_time <= until_open)
        return BarSeries.of(self.source.symbol, self.source.timeframe, list(islice(newest_first, count))[::-1])

    def _closed_since(self, since: int, now: int) -> list[Bar]:
        bars: list[Bar] = []
        step = self.source.step_ms
        while True:
            table = self.source.page(since)[list(COLUMNS)].to_numpy()
            read = [Bar(int(row[0]), int(row[0]) + step, *map(float, row[1:])) for row in table]
            closed = [bar for bar in read if bar.close_time <= now]
            fresh = [bar for bar in closed if not bars or bar.open_time > bars[-1].open_time]
            bars.extend(fresh)
            if not fresh or len(closed) < len(table):
                return bars
            since = bars[-1].open_time


def _gaps(last: int, bars: Sequence[Bar], step: int) -> list[tuple[int, int]]:
    # Where candles are missing after `last`: (time of the next one, how many).
    times = [last, *(bar.open_time for bar in bars if bar.open_time > last)]
    return [(b, round((b - a) / step) - 1) for a, b in pairwise(times) if b - a > step]
