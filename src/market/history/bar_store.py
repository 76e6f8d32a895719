"""`BarStore`: downloaded bars on disk, one folder per exchange, symbol and timeframe.

    {root}/{exchange}/{symbol}_{timeframe}/part-2020-01-01T0000.parquet   at most `PART_BARS` bars each
                                           coverage.json                  what is complete, which holes are real

The sidecar lists a range only after its bars are on disk, and every file is replaced whole, so a kill at any moment
loses at most the page in flight. Bars that are missing within a complete range are holes: the sidecar says how often
the exchange was asked for them. Only closed, judged bars belong here; see `exchange_bars.py`.
"""

import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from src.errors import DataError
from src.market.bars import COLUMNS, BarSeries, TimeArray, symbol_id, timeframe_ms
from src.storage import locked, write_atomic

PART_BARS = 50_000


class TimeRange(NamedTuple):
    """Opening times from `start` up to but without `stop`, UTC milliseconds."""

    start: int
    stop: int


@dataclass(frozen=True)
class Coverage:
    """What the store knows about its completeness.

    Attributes:
        complete: disjoint ranges in order; every bar the exchange gave for them is stored.
        hole_requests: how often the exchange was asked again about a hole, by the hole.
    """

    complete: tuple[TimeRange, ...] = ()
    hole_requests: tuple[tuple[TimeRange, int], ...] = ()

    def with_complete(self, time_range: TimeRange) -> "Coverage":
        """Return the coverage with one more complete range."""
        return Coverage(_merged([*self.complete, time_range]), self.hole_requests)

    def with_hole_requests(self, holes: dict[TimeRange, int]) -> "Coverage":
        """Return the coverage with the holes that are left."""
        return Coverage(self.complete, tuple(sorted(holes.items())))

    def missing(self, requested: TimeRange) -> list[TimeRange]:
        """Return the parts of `requested` that are not complete, in order."""
        gaps, cursor = [], requested.start
        for done in self.complete:
            if done.stop <= cursor or done.start >= requested.stop:
                continue
            gaps.append(TimeRange(cursor, done.start))
            cursor = done.stop
        gaps.append(TimeRange(cursor, requested.stop))
        return [gap for gap in gaps if gap.start < gap.stop]


class BarStore:
    """The bars of one exchange, symbol and timeframe under a root folder; nothing is created before the first write."""

    def __init__(self, root: Path, exchange: str, symbol: str, timeframe: str) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self._step = timeframe_ms(timeframe)
        self.folder = root / exchange / f"{symbol_id(symbol)}_{timeframe}"
        self._sidecar = self.folder / "coverage.json"

    def coverage(self) -> Coverage:
        """Return what is complete.

        Raises:
            DataError: the sidecar is not what this class writes.
        """
        if not self._sidecar.is_file():
            return Coverage()
        try:
            plain = json.loads(self._sidecar.read_text(encoding="utf-8"))
            complete = tuple(TimeRange(*map(int, pair)) for pair in plain["complete"])
            hole_requests = tuple(
                (TimeRange(int(start), int(stop)), int(times)) for start, stop, times in plain["asked"]
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._sidecar} is damaged ({error}); delete {self.folder} and download again") from error
        return Coverage(complete, hole_requests)

    def save_coverage(self, coverage: Coverage) -> None:
        """Write down what is complete; the bars must be on disk already."""
        plain = {
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "complete": [list(time_range) for time_range in coverage.complete],
            "asked": [[*hole, times] for hole, times in coverage.hole_requests],
        }
        write_atomic(self._sidecar, json.dumps(plain, indent=1).encode())

    def add(self, frame: pd.DataFrame) -> None:
        """Store closed bars (columns as in a raw frame); a bar already stored at the same time is replaced."""
        for number, rows in frame.groupby(frame["open_time"] // (PART_BARS * self._step)):
            path = self._part(int(number))
            both = pd.concat([_read(path), rows[list(COLUMNS)]]) if path.is_file() else rows[list(COLUMNS)]
            part = both.drop_duplicates("open_time", keep="last").sort_values("open_time", ignore_index=True)
            buffer = io.BytesIO()
            part.to_parquet(buffer, compression="zstd", index=False)
            write_atomic(path, buffer.getvalue())

    def times(self, time_range: TimeRange) -> TimeArray:
        """Return the stored opening times within a range, in order, (T,)."""
        parts = [_read(path, ["open_time"])["open_time"].to_numpy(np.int64) for path in self._parts()]
        times = np.concatenate([np.empty(0, np.int64), *parts])
        return times[(times >= time_range.start) & (times < time_range.stop)]

    def holes(self, time_range: TimeRange) -> list[TimeRange]:
        """Return where bars are missing inside a range that begins and ends on the grid, its two ends included."""
        times = self.times(time_range)
        starts = np.concatenate([[time_range.start], times + self._step])
        stops = np.concatenate([times, [time_range.stop]])
        real = stops > starts
        return [TimeRange(int(start), int(stop)) for start, stop in zip(starts[real], stops[real], strict=True)]

    def read(self) -> BarSeries:
        """Return every stored bar.

        Raises:
            DataError: nothing is stored, or a part cannot be read or holds no valid bars.
        """
        parts = [_read(path) for path in self._parts()]
        if not parts:
            raise DataError(f"{self.folder} holds no bars yet; download them first")
        frame = pd.concat(parts, ignore_index=True)
        return BarSeries(self.symbol, self.timeframe, *(frame[name].to_numpy() for name in COLUMNS))

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from writing here.

        Raises:
            RunLocked: another process writes here now.
        """
        busy = f"{self.folder} is being written by another process; wait for it to end"
        return locked(self.folder / ".lock", busy)

    def _part(self, number: int) -> Path:
        first = np.datetime64(number * PART_BARS * self._step, "ms").astype("datetime64[m]")
        return self.folder / f"part-{str(first).replace(':', '')}.parquet"

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))


def _merged(time_ranges: list[TimeRange]) -> tuple[TimeRange, ...]:
    merged: list[TimeRange] = []
    for time_range in sorted(time_ranges):
        if merged and time_range.start <= merged[-1].stop:
            merged[-1] = TimeRange(merged[-1].start, max(merged[-1].stop, time_range.stop))
        else:
            merged.append(time_range)
    return tuple(merged)


def _read(path: Path, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, columns=list(columns))
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"{path} cannot be read ({error}); delete {path.parent} and download again") from error
