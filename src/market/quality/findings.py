"""What was found in a raw frame of bars: kinds of defects, how often and where, as text and as plain data."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from src.market.bars import timeframe_name
from src.market.quality.defects import HOUR_MS, MINUTE_MS


class Defect(Enum):
    """Everything that is looked for."""

    newest_first = "newest first"
    out_of_order = "out of order"
    exact_duplicate = "exact duplicate"
    conflicting_duplicate = "conflicting duplicate"
    bad_price = "price missing or not positive"
    bad_volume = "volume missing or negative"
    impossible_candle = "impossible candle"
    swapped_columns = "columns in another order"
    off_grid = "time off the grid"
    forming = "bar not closed yet"
    gap = "missing bar"
    zero_volume = "zero volume"
    stale = "stale prices"
    outlier = "outlier"
    spike = "reverting spike"
    tenfold_spike = "price ten times off"
    wide_bar = "high ten times the low"
    split_jump = "split-like jump"
    clock_change = "clock with daylight saving"
    other_length = "bars of another length"
    trades = "trades instead of bars"
    volume_switch = "volume changes its unit"


@dataclass(frozen=True, slots=True)
class Example:
    """One defective row: its position in the frame and its time in UTC milliseconds."""

    row: int
    open_time: int

    def __str__(self) -> str:
        return f"row {self.row} ({utc(self.open_time)})"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of defect: how often, where first, and what else is known about it."""

    defect: Defect
    count: int
    examples: tuple[Example, ...]
    detail: str = ""

    def __str__(self) -> str:
        places = ", ".join(str(example) for example in self.examples)
        return f"{self.defect.value}: {self.count:,}, first {places}" + (f"; {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What `inspect` found. Exact duplicates are counted once and left out of every other count."""

    rows: int
    timeframe_ms: int
    first_time: int
    last_time: int
    findings: tuple[Finding, ...]

    def finding(self, defect: Defect) -> Finding | None:
        """Return the finding of one defect, or None where it does not occur."""
        return next((finding for finding in self.findings if finding.defect is defect), None)

    def count(self, defect: Defect) -> int:
        """Return how often a defect occurs."""
        finding = self.finding(defect)
        return finding.count if finding else 0

    def text(self) -> str:
        """Return the report for people, one line per defect."""
        span = f"{utc(self.first_time)} to {utc(self.last_time)}"
        head = f"{self.rows:,} rows of {timeframe_name(self.timeframe_ms)} bars, {span}"
        return "\n".join([head, *(f"  {finding}" for finding in self.findings)])

    def to_plain(self) -> dict[str, Any]:
        """Return numbers, strings, lists and dicts only."""
        return {
            "rows": self.rows,
            "timeframe": timeframe_name(self.timeframe_ms),
            "first_time": self.first_time,
            "last_time": self.last_time,
            "findings": {
                f.defect.name: {
                    "count": f.count,
                    "examples": [{"row": e.row, "open_time": e.open_time} for e in f.examples],
                    "detail": f.detail,
                }
                for f in self.findings
            },
        }


def utc(time_ms: int) -> str:
    """Return UTC milliseconds as text to the minute."""
    return str(np.datetime64(time_ms, "ms").astype("datetime64[m]")).replace("T", " ")


def iso(time_ms: int) -> str:
    """Return UTC milliseconds as settings take them: the date, and the time where it is not midnight."""
    return str(np.datetime64(time_ms, "ms").astype("datetime64[m]")).removesuffix("T00:00")


def duration(ms: int) -> str:
    """Return a length of time as text, in seconds, minutes or hours."""
    if ms < 2 * MINUTE_MS:
        return f"{ms / 1000:g} s"
    return f"{ms / MINUTE_MS:g} min" if ms < 2 * HOUR_MS else f"{ms / HOUR_MS:.5g} h"
