"""What is wrong with a raw frame of bars, what that leads to, and the repairs that cannot invent a price.

`inspect` counts, `assess` decides, `repair` sorts and drops; `clean` does all three and raises on refusal. Reactions
per defect are the mappings `STRICT` and `DROP` below, explained in `docs/data_quality.md`. Nothing is ever filled,
averaged or interpolated. Evidence that is only statistical (outliers, volume units) warns and never refuses.
The detectors are in `defects.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import timeframe_name
from src.market.reading import defects
from src.market.reading.defects import CandleColumns, Mask, candle_columns

EXAMPLES = 3  # rows shown per defect


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
    clock_change = "clock with daylight saving"
    volume_switch = "volume changes its unit"


class Reaction(Enum):
    """What a defect leads to."""

    repair = "repaired"
    drop = "dropped"
    warn = "noted"
    refuse = "refused"


Policy = Mapping[Defect, Reaction]

STRICT: Policy = {
    Defect.newest_first: Reaction.repair,
    Defect.out_of_order: Reaction.repair,
    Defect.exact_duplicate: Reaction.repair,
    Defect.conflicting_duplicate: Reaction.refuse,
    Defect.bad_price: Reaction.refuse,
    Defect.bad_volume: Reaction.refuse,
    Defect.impossible_candle: Reaction.refuse,
    Defect.swapped_columns: Reaction.refuse,
    Defect.off_grid: Reaction.refuse,
    Defect.forming: Reaction.repair,
    Defect.gap: Reaction.warn,
    Defect.zero_volume: Reaction.warn,
    Defect.stale: Reaction.warn,
    Defect.outlier: Reaction.warn,
    Defect.spike: Reaction.warn,
    Defect.clock_change: Reaction.refuse,
    Defect.volume_switch: Reaction.warn,
}

# Chosen by the user: rows without a usable price or volume leave, which makes gaps and nothing else.
DROP: Policy = {
    **STRICT,
    Defect.bad_price: Reaction.drop,
    Defect.bad_volume: Reaction.drop,
    Defect.impossible_candle: Reaction.drop,
}

REMEDY: Mapping[Defect, str] = {
    Defect.conflicting_duplicate: "keep one row per time, of which you know it is right",
    Defect.bad_price: "mend the source, or leave such rows out with data.drop_defective=true",
    Defect.bad_volume: "mend the source, or leave such rows out with data.drop_defective=true",
    Defect.impossible_candle: "mend the source, or leave such rows out with data.drop_defective=true",
    Defect.swapped_columns: "name them with data.columns",
    Defect.off_grid: "check the timeframe, and convert the times to UTC bar opens",
    Defect.clock_change: "convert the times to UTC",
}


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


class Usability(Enum):
    """Whether the bars may be used."""

    usable = "usable"
    repaired = "repaired"
    refused = "refused"


@dataclass(frozen=True, slots=True)
class QualityVerdict:
    """An outcome with its reasons; warnings do not change it."""

    outcome: Usability
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def inspect(frame: pd.DataFrame, timeframe_ms: int | None = None, now_ms: int | None = None) -> QualityReport:
    """Look for every defect in a raw frame.

    Args:
        frame: columns of a raw frame (`understanding.Reading`), in file order.
        timeframe_ms: bar length; None takes the most common step.
        now_ms: the time, to recognise bars that have not closed; None where it is not known.

    Raises:
        DataError: no rows, a missing column, or no bar length to infer.
    """
    every = candle_columns(frame)
    if len(every.open_time) == 0:
        raise DataError("0 bar(s) found, at least 2 are needed; check the dates and the file")
    step = timeframe_ms or defects.common_step(every.grid_time)
    findings = [*_order_findings(every), *_row_findings(every, step, now_ms), *_path_findings(every, step)]
    span = int(every.open_time.min()), int(every.open_time.max())
    return QualityReport(len(frame), step, *span, tuple(f for f in findings if f.count))


def assess(report: QualityReport, policy: Policy = STRICT) -> QualityVerdict:
    """Decide from a report whether the bars are usable, need repair, or are refused."""
    by_reaction: dict[Reaction, list[Finding]] = {reaction: [] for reaction in Reaction}
    for finding in report.findings:
        by_reaction[policy[finding.defect]].append(finding)
    warnings = tuple(str(finding) for finding in by_reaction[Reaction.warn])
    if refused := by_reaction[Reaction.refuse]:
        return QualityVerdict(Usability.refused, tuple(f"{f}; {REMEDY[f.defect]}" for f in refused), warnings)
    changed = tuple(
        f"{finding} ({reaction.value})"
        for reaction in (Reaction.repair, Reaction.drop)
        for finding in by_reaction[reaction]
    )
    return QualityVerdict(Usability.repaired if changed else Usability.usable, changed, warnings)


def repair(
    frame: pd.DataFrame, report: QualityReport, policy: Policy = STRICT, now_ms: int | None = None
) -> pd.DataFrame:
    """Return the frame sorted, without the rows the policy drops; no value of a kept row changes.

    What the policy refuses is left in place: `assess` first.
    """
    every = candle_columns(frame)
    droppers: dict[Defect, Callable[[], Mask]] = {
        Defect.exact_duplicate: lambda: defects.exact_duplicates(every),
        Defect.bad_price: lambda: defects.bad_prices(every),
        Defect.bad_volume: lambda: defects.bad_volumes(every),
        Defect.impossible_candle: lambda: defects.impossible_candles(every),
        Defect.forming: lambda: defects.not_closed(every, report.timeframe_ms, now_ms),
    }
    leave = np.zeros(len(frame), bool)
    for defect, rows in droppers.items():
        if report.count(defect) and policy[defect] in (Reaction.repair, Reaction.drop):
            leave |= rows()
    return frame[~leave].sort_values("open_time", kind="stable", ignore_index=True)


def clean(
    name: str,
    frame: pd.DataFrame,
    timeframe_ms: int | None = None,
    policy: Policy = STRICT,
    now_ms: int | None = None,
) -> tuple[pd.DataFrame, QualityReport]:
    """Inspect, judge and repair a frame; `name` is what the refusal calls the data.

    Raises:
        DataError: the policy refuses a defect that occurs; the message names each, with place and remedy.
    """
    report = inspect(frame, timeframe_ms, now_ms)
    verdict = assess(report, policy)
    if verdict.outcome is Usability.refused:
        raise DataError(f"{name}: {' | '.join(verdict.reasons)}")
    return repair(frame, report, policy, now_ms), report


def utc(time_ms: int) -> str:
    """Return UTC milliseconds as text to the minute."""
    return str(np.datetime64(time_ms, "ms").astype("datetime64[m]")).replace("T", " ")


def _order_findings(every: CandleColumns) -> list[Finding]:
    newest_first = defects.is_newest_first(every)
    backwards = defects.out_of_order(every)
    duplicate = defects.exact_duplicates(every)
    among = ~duplicate & _sound(every)  # a broken row contradicts nobody
    conflicting = np.zeros(len(duplicate), bool)
    conflicting[among] = defects.repeated_times(every.at(among))
    return [
        _finding(Defect.newest_first, every, backwards & newest_first),
        _finding(Defect.out_of_order, every, backwards & (not newest_first)),
        _finding(Defect.exact_duplicate, every, duplicate),
        _finding(Defect.conflicting_duplicate, every, conflicting),
    ]


def _row_findings(every: CandleColumns, step: int, now_ms: int | None) -> list[Finding]:
    counted = ~defects.exact_duplicates(every)
    impossible = counted & defects.impossible_candles(every)
    swapped = defects.swapped_columns(every)
    off_grid = counted & defects.off_grid(every, step)
    return [
        _finding(Defect.bad_price, every, counted & defects.bad_prices(every)),
        _finding(Defect.bad_volume, every, counted & defects.bad_volumes(every)),
        _finding(Defect.impossible_candle, every, impossible),
        _finding(Defect.swapped_columns, every, impossible & bool(swapped), swapped),
        _finding(Defect.off_grid, every, off_grid, _phases(every, step) if off_grid.any() else ""),
        _finding(Defect.forming, every, counted & defects.not_closed(every, step, now_ms)),
        _finding(Defect.zero_volume, every, counted & (every.volume == 0)),
    ]


def _path_findings(every: CandleColumns, step: int) -> list[Finding]:
    order = _first_of_each_time(every.open_time, np.ones(len(every.open_time), bool))
    kept = _first_of_each_time(every.open_time, _sound(every))
    gaps = [_gaps(every.at(order), order, step), _clock_changes(every, order, step)]
    if not kept.size:
        return gaps
    path = every.at(kept)
    return [
        *gaps,
        _finding(Defect.stale, path, defects.stale(path), rows=kept),
        _finding(Defect.outlier, path, defects.outliers(path, step), rows=kept),
        _finding(Defect.spike, path, defects.spikes(path, step), rows=kept),
        _volume_switches(path, kept),
    ]


def _sound(every: CandleColumns) -> Mask:
    return ~(defects.bad_prices(every) | defects.impossible_candles(every))


def _first_of_each_time(open_time: NDArray[np.int64], among: Mask) -> NDArray[np.intp]:
    # Row numbers in order of time, one per distinct time.
    rows = np.flatnonzero(among)
    _, first = np.unique(open_time[rows], return_index=True)
    return rows[first]


def _gaps(path: CandleColumns, rows: NDArray[np.intp], step: int) -> Finding:
    missing = defects.missing_before(path, step)
    longest = int(np.argmax(missing))
    detail = (
        f"{int((missing > 0).sum()):,} gaps, longest {_duration((int(missing[longest]) + 1) * step)}"
        f" before {utc(int(path.open_time[longest]))}"
    )
    return _finding(Defect.gap, path, missing > 0, detail, rows, count=int(missing.sum()))


def _duration(ms: int) -> str:
    return f"{ms / 60_000:g} min" if ms < 2 * defects.HOUR_MS else f"{ms / defects.HOUR_MS:.5g} h"


def _clock_changes(every: CandleColumns, order: NDArray[np.intp], step: int) -> Finding:
    times = every.open_time[order]
    distinct = every.at(~defects.exact_duplicates(every))
    repeated = distinct.open_time[defects.repeated_times(distinct)]
    nights = defects.clock_changes(times, repeated, step)
    mask = np.isin(times, times[np.minimum(np.searchsorted(times, nights), len(times) - 1)]) & bool(nights.size)
    detail = "an hour twice or missing when clocks change: local times, of which a part is an hour off UTC"
    return _finding(Defect.clock_change, every.at(order), mask, detail, order, count=len(nights))


def _volume_switches(path: CandleColumns, rows: NDArray[np.intp]) -> Finding:
    mask = np.zeros(len(path.open_time), bool)
    mask[defects.volume_switches(path)] = True
    detail = "volume jumps for good by the factor of the price; start behind it with data.start, or do not use volume"
    return _finding(Defect.volume_switch, path, mask, detail, rows)


def _phases(every: CandleColumns, step: int) -> str:
    phases, counts = np.unique(every.grid_time % step, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:3]
    return "minutes past the grid: " + ", ".join(f"{phases[i] / 60_000:g} in {counts[i]:,} rows" for i in most)


def _finding(
    defect: Defect,
    where: CandleColumns,
    mask: Mask,
    detail: str = "",
    rows: NDArray[np.intp] | None = None,
    count: int | None = None,
) -> Finding:
    # `rows` are the positions of `where` in the frame, if it is not the whole frame.
    hits = np.flatnonzero(mask)
    first = hits[:EXAMPLES]
    places = first if rows is None else rows[first]
    examples = tuple(Example(int(row), int(time)) for row, time in zip(places, where.open_time[first], strict=True))
    total = len(hits) if count is None else count
    return Finding(defect, total, examples, detail if total else "")
