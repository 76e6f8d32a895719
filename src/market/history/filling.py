"""`download`: fills the store with the history of an exchange.

`fill` asks page by page for what the store does not have yet, then asks again for the holes. Each page is on disk
before the next is asked for, so the same command resumes after a kill, and extends a finished download later.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from src.errors import DataError
from src.market.bars import timeframe_ms
from src.market.history.bar_store import BarStore, TimeRange
from src.market.history.exchange_bars import ExchangeBars
from src.market.quality.defects import DAY_MS
from src.market.quality.findings import utc
from src.market.quality.verdict import DROP, STRICT
from src.market.reading.frames import parse_date

ASKS = 2  # times a hole is asked for again before it counts as the exchange's own
WEEK_ORIGIN_MS = 4 * DAY_MS  # 1970-01-05, a Monday
LINE_FRAC = 0.1  # progress between two lines where there is no terminal

Advance = Callable[[int], None]


class Pages(Protocol):
    """Where bars come from; `ExchangeBars` in earnest."""

    step_ms: int

    @property
    def page_bars(self) -> int:
        """Most bars in one page."""
        ...

    def page(self, since: int) -> pd.DataFrame:
        """Return the next bars that open at or after `since`."""
        ...


def closed_range(start: int, end: int | None, now: int, step: int) -> TimeRange:
    """Return the grid-aligned opening times from `start` up to `end` of bars that have closed at `now`.

    Raises:
        DataError: there are none.
    """
    origin = WEEK_ORIGIN_MS if step % (7 * DAY_MS) == 0 else 0
    first = start + (origin - start) % step
    closed = now - (now - origin) % step
    stop = closed if end is None else min(closed, end + (origin - end) % step)
    if first >= stop:
        raise DataError(f"no bar between {utc(start)} and {utc(stop)} has closed yet; choose an earlier start")
    return TimeRange(first, stop)


def fill(store: BarStore, source: Pages, requested: TimeRange, advance: Advance) -> None:
    """Store every bar of `requested` the source has; `advance` hears up to which time it is done.

    Raises:
        DataError: the source gave up; what was fetched before is stored.
        RunLocked: another process is filling the same store.
    """
    with store.locked():
        for time_range in store.coverage().missing(requested):
            _fetch(store, source, time_range, advance)
        for _ in range(ASKS):
            _ask_again(store, source)
        advance(requested.stop)


def _fetch(store: BarStore, source: Pages, time_range: TimeRange, advance: Advance) -> None:
    cursor = time_range.start
    while cursor < time_range.stop:
        advance(cursor)
        frame = source.page(cursor)
        reached = min(_reached(frame, cursor, source), time_range.stop)
        store.add(frame[frame["open_time"] < time_range.stop])
        store.save_coverage(store.coverage().with_complete(TimeRange(cursor, reached)))
        cursor = reached


def _reached(frame: pd.DataFrame, since: int, source: Pages) -> int:
    # The time up to which a page says all there is. Exchanges that answer by window may send an empty one.
    if len(frame):
        return int(frame["open_time"].iloc[-1]) + source.step_ms
    return since + source.page_bars * source.step_ms


def _ask_again(store: BarStore, source: Pages) -> None:
    # Asks once for every hole that was not yet asked for often enough; one page may answer several.
    requests = dict(store.coverage().hole_requests)
    holes = {hole: requests.get(hole, 0) for hole in _holes(store)}
    answered = -1
    for hole, times in holes.items():
        if times >= ASKS:
            continue
        if hole.start >= answered:
            frame = source.page(hole.start)
            answered = _reached(frame, hole.start, source)
            store.add(_inside(frame, list(holes)))
        holes[hole] = times + 1
    store.save_coverage(store.coverage().with_hole_requests({hole: holes.get(hole, 0) for hole in _holes(store)}))


def _holes(store: BarStore) -> list[TimeRange]:
    return [hole for time_range in store.coverage().complete for hole in store.holes(time_range)]


def _inside(frame: pd.DataFrame, holes: list[TimeRange]) -> pd.DataFrame:
    # Only what is missing: a bar once stored does not change.
    times = frame["open_time"].to_numpy()
    starts, stops = (np.array(side) for side in zip(*holes, strict=True))
    nearest = np.searchsorted(starts, times, side="right") - 1
    return frame[(nearest >= 0) & (times < stops[nearest])]


def download(options: argparse.Namespace, console: Console, sleep: Callable[[float], None]) -> str:
    """Do what the command line of `src.market.download` asks for, and say what is stored.

    Raises:
        ConfigError, DataError: what was asked for makes no sense, or the exchange does not give it.
        RunLocked: another process is filling the same store.
    """
    start = parse_date(options.start, "--start")
    end = parse_date(options.end, "--end") if options.end else None
    store = BarStore(options.out, options.exchange, options.symbol, options.timeframe)
    policy = DROP if options.drop_defective else STRICT
    source = ExchangeBars(options.exchange, options.symbol, options.timeframe, options.base_url, policy, sleep)
    source.connect()
    requested = closed_range(start, end, source.now(), timeframe_ms(options.timeframe))
    with _progress(f"{options.exchange} {options.symbol} {options.timeframe}", requested, console) as advance:
        fill(store, source, requested, advance)
    return _summary(store, requested)


def _summary(store: BarStore, requested: TimeRange) -> str:
    times = store.times(requested)
    if not len(times):
        raise DataError(f"the exchange has no bars between {utc(requested.start)} and {utc(requested.stop)}")
    step = timeframe_ms(store.timeframe)
    inner = store.holes(TimeRange(int(times[0]), int(times[-1]) + step))
    missing = sum(hole.stop - hole.start for hole in inner) // step
    gaps = f"; {missing:,} bars in {len(inner):,} gaps are missing at the exchange" if inner else ", without a gap"
    late = f"; it begins later than asked for ({utc(requested.start)})" if times[0] > requested.start else ""
    return f"{len(times):,} bars from {utc(int(times[0]))} to {utc(int(times[-1]))} in {store.folder}{gaps}{late}"


@contextmanager
def _progress(title: str, requested: TimeRange, console: Console) -> Iterator[Advance]:
    # A live bar with the time that is left on a terminal, a line every tenth elsewhere.
    if not console.is_terminal:
        yield _lines(title, requested, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=requested.stop - requested.start, start=False)

        def advance(at: int) -> None:
            if not progress.tasks[task].started:  # what an earlier run fetched says nothing about speed
                progress.reset(task, completed=at - requested.start)
            progress.update(task, completed=at - requested.start)

        yield advance


def _lines(title: str, requested: TimeRange, console: Console) -> Advance:
    started = time.monotonic()
    begun = shown = -1.0  # fractions: what an earlier run fetched, and what the last line said

    def advance(at: int) -> None:
        nonlocal begun, shown
        done = (at - requested.start) / (requested.stop - requested.start)
        if begun < 0:
            begun = shown = done
        elif done >= shown + LINE_FRAC or done >= 1.0 > shown:
            left = (time.monotonic() - started) * (1.0 - done) / (done - begun)
            console.print(f"{title}: {done:.0%}, up to {utc(at)}, about {left:.0f} s left", markup=False)
            shown = done

    return advance
