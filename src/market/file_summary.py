"""A price file in words: what it was taken for, its first and last rows, and what was found in it; 80 columns wide."""

import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from src.market.bars import PRICE_COLUMNS, TimeArray, timeframe_name
from src.market.quality.defects import DAY_MS, MINUTE_MS, candle_columns, missing_before
from src.market.quality.findings import Defect, QualityReport, duration, utc
from src.market.quality.inspection import in_time
from src.market.quality.verdict import Judgement, Usability
from src.market.reading.files.raw_table import RawTable
from src.market.reading.understanding import Reading

WIDTH, LABEL = 80, 10
SHOWN = 3  # rows of the head, rows of the tail, gaps
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Line(NamedTuple):
    """A label and what stands beside it, one paragraph each."""

    label: str
    paragraphs: tuple[str, ...]
    is_verbatim: bool = False  # neither wrapped nor labelled


def print_lines(lines: Sequence[Line]) -> None:
    """Print labelled paragraphs on standard output."""
    sys.stdout.write("".join(f"{_text(line)}\n" for line in lines if line.paragraphs))


def lines_of_table(table: RawTable, name: str) -> list[Line]:
    """Return what is known of a file that cannot be understood: its layout, its columns and its first rows."""
    rows = [" | ".join(map(str, row)) for row in table.cells.head(SHOWN).itertuples(index=False, name=None)]
    return [
        Line("file", (name,)),
        Line("layout", tuple(filter(None, (table.layout,)))),
        Line("columns", (", ".join(map(str, table.names)),)),
        Line("rows", tuple(rows)),
    ]


def lines_of_reading(reading: Reading) -> list[Line]:
    """Return what a file was taken for, and every guess with the setting that overrides it."""
    understood = reading.understood
    columns = [f"{ours}: {theirs}" for ours, theirs in understood.columns.items()]
    return [
        Line("file", (understood.name,)),
        Line("layout", tuple(filter(None, (understood.layout,)))),
        Line("columns", (", ".join(columns),)),
        Line("not taken", tuple(filter(None, (", ".join(map(str, understood.others.columns)),)))),
        Line("times", (f"{understood.time_format or 'as they are'}, zone {understood.zone}",)),
        Line("adjusted", tuple(filter(None, (understood.adjusted_by and f"by {understood.adjusted_by}",)))),
        Line("guessed", understood.remarks),
    ]


def lines_of_judgement(judged: Judgement) -> list[Line]:
    """Return the bars that a file holds, in order of time or, where it is refused, its rows; and what was found."""
    report, frame = judged.report, judged.frame
    refused = judged.verdict.outcome is Usability.refused
    return [
        Line("rows" if refused else "bars", (_span(report, len(frame)),)),
        Line("", _rows(frame), is_verbatim=True),
        Line("gaps", _gaps(frame, report.timeframe_ms)),
        Line("sessions", _sessions(frame["open_time"].to_numpy(), report.timeframe_ms)),
        *(_found(report, label, defect) for label, defect in _LOOKED_FOR),
        Line(judged.verdict.outcome.value, judged.verdict.reasons or ("nothing had to be changed",)),
        Line("noted", judged.verdict.warnings),
    ]


_LOOKED_FOR = (("splits", Defect.split_jump), ("spikes", Defect.spike), ("decimals", Defect.tenfold_spike))


def _found(report: QualityReport, label: str, defect: Defect) -> Line:
    finding = report.finding(defect)
    if finding is None:
        return Line(label, ("none found",))
    places = ", ".join(map(str, finding.examples)) + (", ..." if finding.count > len(finding.examples) else "")
    return Line(label, (f"{finding.count:,}: {places}",))


def _text(line: Line) -> str:
    if line.is_verbatim:
        return "\n".join(line.paragraphs)
    label, indent = f"{line.label:{LABEL}s}", " " * LABEL
    several = len(line.paragraphs) > 1
    return "\n".join(
        textwrap.fill(
            paragraph,
            WIDTH,
            initial_indent=(label if place == 0 else indent) + ("- " if several else ""),
            subsequent_indent=indent + ("  " if several else ""),
            break_on_hyphens=False,
        )
        for place, paragraph in enumerate(line.paragraphs)
    )


def _span(report: QualityReport, count: int) -> str:
    left = "" if count == report.rows else f" of {report.rows:,} rows"
    return (
        f"{count:,}{left}, {timeframe_name(report.timeframe_ms)}, {utc(report.first_time)} to {utc(report.last_time)}"
    )


def _rows(frame: pd.DataFrame) -> tuple[str, ...]:
    few = frame if len(frame) <= 2 * SHOWN else pd.concat([frame.head(SHOWN), frame.tail(SHOWN)])
    names = (*PRICE_COLUMNS, "volume")
    to_the_second = bool((few["open_time"] % MINUTE_MS).any())
    rows = [
        f"{label!s:>8} {_time(int(few['open_time'].iloc[place]), to_the_second):19s}"
        + "".join(f"{_number(float(few[name].iloc[place])):>10}" for name in names)
        for place, label in enumerate(few.index)
    ]
    head = f"{'row':>8} {'opens (UTC)':19s}" + "".join(f"{name:>10}" for name in names)
    return (head, *rows) if len(few) == len(frame) else (head, *rows[:SHOWN], f"{'...':>8}", *rows[SHOWN:])


def _time(time: int, to_the_second: bool) -> str:
    return str(np.datetime64(time, "ms").astype("datetime64[s]")).replace("T", " ") if to_the_second else utc(time)


def _number(value: float) -> str:
    text = f"{value:.7g}"
    return text if len(text) <= 9 else f"{value:.3g}"


def _gaps(frame: pd.DataFrame, step: int) -> tuple[str, ...]:
    path = in_time(candle_columns(frame), np.ones(len(frame), bool)).columns
    missing = missing_before(path, step)
    total = int((missing > 0).sum())
    if not total:
        return ("none",)
    largest = [row for row in np.argsort(-missing, kind="stable")[:SHOWN] if missing[row]]
    lengths = [duration((int(missing[row]) + 1) * step) for row in largest]
    listed = ", ".join(
        f"{length} before {utc(int(path.open_time[row]))}" for length, row in zip(lengths, largest, strict=True)
    )
    return (f"{int(missing.sum()):,} bars missing in {total:,}; the longest: {listed}",)


def _sessions(times: TimeArray, step: int) -> tuple[str, ...]:
    # On which days of the week bars open, and from when to when on most days.
    days = np.unique(times // DAY_MS)
    counts = np.bincount((days + 3) % 7, minlength=7)
    on = ", ".join(f"{name} {count:,}" for name, count in zip(_DAYS, counts, strict=True) if count)
    if step >= DAY_MS:
        return (on,)
    ordered = np.sort(times)
    starts = np.searchsorted(ordered, days * DAY_MS)
    opens, closes = ordered[starts] % DAY_MS, ordered[np.append(starts[1:], len(times)) - 1] % DAY_MS
    return (f"{on}; on most days the first bar opens at {_clock(opens)}, the last at {_clock(closes)} UTC",)


def _clock(times_of_day: TimeArray) -> str:
    values, counts = np.unique(times_of_day, return_counts=True)
    return utc(int(values[np.argmax(counts)]))[-5:]
