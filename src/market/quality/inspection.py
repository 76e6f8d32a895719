"""`inspect`: look for every defect in a raw frame, with the detectors of this package, each at most once a row.

What a defect leads to is decided in `verdict.py`.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import timeframe_name
from src.market.quality import bar_lengths, defects, spikes
from src.market.quality.defects import CandleColumns, Mask, candle_columns
from src.market.quality.findings import Defect, Example, Finding, QualityReport, duration, iso, utc
from src.market.quality.split_jumps import find_split_jumps

EXAMPLES = 3  # rows shown per defect
Rows = NDArray[np.intp]


class SoundRows(NamedTuple):
    """Which rows of a frame are what, masks (T,)."""

    duplicate: Mask
    bad_price: Mask
    impossible: Mask

    @property
    def sound(self) -> Mask:
        """Rows whose candle is possible, (T,)."""
        return ~(self.bad_price | self.impossible)


class Path(NamedTuple):
    """Rows in order of time, one a time."""

    columns: CandleColumns
    rows: Rows  # positions of the columns in the frame


def in_time(every: CandleColumns, among: Mask) -> Path:
    """Return the rows of a mask (T,) in order of time; where several have one time, the first of them."""
    if among.all() and defects.is_rising(every.open_time):
        return Path(every, np.arange(len(among)))
    rows = np.flatnonzero(among)
    _, first = np.unique(every.open_time[rows], return_index=True)
    return Path(every.at(rows[first]), rows[first])


def inspect(frame: pd.DataFrame, timeframe_ms: int | None = None, now_ms: int | None = None) -> QualityReport:
    """Look for every defect in a raw frame.

    Args:
        frame: columns of a raw frame (`understanding.Reading`), in file order; its index is how rows are called.
        timeframe_ms: bar length; None takes the most common step.
        now_ms: the time, to recognise bars that have not closed; None where it is not known.

    Raises:
        DataError: no rows, a missing column, or no bar length to infer.
    """
    every = candle_columns(frame)
    if len(every.open_time) == 0:
        raise DataError("0 bar(s) found, at least 2 are needed; check the dates and the file")
    step = timeframe_ms or bar_lengths.common_step(every.grid_time)
    if step % 1000:
        raise DataError(
            f"rows are most often {step} ms apart, which is no length of bars; if they are trades, make bars of them"
        )
    known = SoundRows(defects.exact_duplicates(every), defects.bad_prices(every), defects.impossible_candles(every))
    findings = [
        *_order_findings(every, known),
        *_row_findings(every, known, step, now_ms),
        *_time_findings(every, known, step, frame.index),
        *_path_findings(every, known, step),
    ]
    span = int(every.open_time.min()), int(every.open_time.max())
    return QualityReport(len(frame), step, *span, tuple(_by_label(f, frame.index) for f in findings if f.count))


def _by_label(finding: Finding, index: pd.Index) -> Finding:
    # Where rows were left out before, the others keep their numbers in the file.
    examples = tuple(Example(int(index[example.row]), example.open_time) for example in finding.examples)
    return Finding(finding.defect, finding.count, examples, finding.detail)


def _order_findings(every: CandleColumns, known: SoundRows) -> list[Finding]:
    newest_first = defects.is_newest_first(every)
    backwards = defects.out_of_order(every)
    conflicting = np.zeros(len(backwards), bool)
    if not defects.is_rising(every.open_time):
        among = ~known.duplicate & known.sound  # a broken row contradicts nobody
        conflicting[among] = defects.repeated_times(every.at(among))
    return [
        _finding(Defect.newest_first, every, backwards & newest_first),
        _finding(Defect.out_of_order, every, backwards & (not newest_first)),
        _finding(Defect.exact_duplicate, every, known.duplicate),
        _finding(Defect.conflicting_duplicate, every, conflicting),
    ]


def _row_findings(every: CandleColumns, known: SoundRows, step: int, now_ms: int | None) -> list[Finding]:
    counted = ~known.duplicate
    impossible = counted & known.impossible
    swapped = defects.swapped_columns(every) if impossible.any() else ""
    off_grid = counted & defects.off_grid(every, step)
    return [
        _finding(Defect.bad_price, every, counted & known.bad_price),
        _finding(Defect.bad_volume, every, counted & defects.bad_volumes(every)),
        _finding(Defect.impossible_candle, every, impossible & (not swapped)),
        _finding(Defect.swapped_columns, every, impossible & bool(swapped), swapped),
        _finding(Defect.off_grid, every, off_grid, _phases(every, step) if off_grid.any() else ""),
        _finding(Defect.forming, every, counted & defects.not_closed(every, step, now_ms)),
        _finding(Defect.zero_volume, every, counted & (every.volume == 0)),
    ]


def _time_findings(every: CandleColumns, known: SoundRows, step: int, index: pd.Index) -> list[Finding]:
    path = in_time(every, np.ones(len(every.open_time), bool))
    times, rows = path.columns, path.rows
    return [
        _gaps(path, step),
        _clock_changes(every, known, path, step),
        _other_lengths(path, step, index),
        _finding(
            Defect.trades,
            times,
            np.full(len(rows), bar_lengths.are_trades(times, step)),
            "open, high, low and close are one price in nearly all rows, at irregular times: trades, not bars; make"
            " bars of them (resample, in pandas)",
            rows,
        ),
    ]


def _path_findings(every: CandleColumns, known: SoundRows, step: int) -> list[Finding]:
    path, rows = in_time(every, known.sound)
    if not rows.size:
        return []
    outlier = spikes.outliers(path, step)
    return [
        _finding(Defect.stale, path, defects.stale(path), rows=rows),
        _finding(Defect.outlier, path, outlier, rows=rows),
        _finding(Defect.spike, path, spikes.spikes(path, outlier), rows=rows),
        _finding(Defect.tenfold_spike, path, spikes.tenfold_spikes(path), _TENFOLD, rows),
        _finding(Defect.wide_bar, path, spikes.wide_bars(path), rows=rows),
        _split_jumps(path, rows),
        _volume_switches(path, rows),
    ]


_TENFOLD = "a price ten times those around it, or a tenth: was a decimal point lost?"


def _gaps(path: Path, step: int) -> Finding:
    missing = defects.missing_before(path.columns, step)
    longest = int(np.argmax(missing))
    detail = (
        f"{int((missing > 0).sum()):,} gaps, longest {duration((int(missing[longest]) + 1) * step)}"
        f" before {utc(int(path.columns.open_time[longest]))}"
    )
    return _finding(Defect.gap, path.columns, missing > 0, detail, path.rows, count=int(missing.sum()))


def _clock_changes(every: CandleColumns, known: SoundRows, path: Path, step: int) -> Finding:
    times = path.columns.open_time
    repeated = np.empty(0, np.int64)
    if not defects.is_rising(every.open_time):
        distinct = every.at(~known.duplicate)
        repeated = distinct.open_time[defects.repeated_times(distinct)]
    nights = defects.clock_changes(times, repeated, step)
    mask = np.zeros(len(times), bool)
    mask[np.minimum(np.searchsorted(times, nights), len(times) - 1)] = True
    detail = "an hour twice or missing when clocks change: local times, of which a part is an hour off UTC"
    return _finding(Defect.clock_change, path.columns, mask, detail, path.rows, count=len(nights))


def _other_lengths(path: Path, step: int, index: pd.Index) -> Finding:
    stretches = bar_lengths.other_lengths(path.columns.grid_time, step)
    mask = np.zeros(len(path.rows), bool)
    for stretch in stretches:
        mask[stretch.first : stretch.last + 1] = True
    if not stretches:
        return _finding(Defect.other_length, path.columns, mask)
    times = path.columns.open_time
    first, last = bar_lengths.longest_rest(len(times), stretches)
    bounds = [
        *([f"data.start={iso(int(times[first]))}"] if first else []),
        *([f"data.end={iso(int(times[last + 1]))}"] if last + 1 < len(times) else []),
    ]
    where = ", ".join(
        f"rows {_range(index[path.rows[[s.first, s.last]]])} are {timeframe_name(s.step_ms)} apart" for s in stretches
    )
    detail = f"{where}, the others {timeframe_name(step)}; keep {last - first + 1:,} bars with {' '.join(bounds)}"
    return _finding(Defect.other_length, path.columns, mask, detail, path.rows)


def _range(ends: Iterable[int]) -> str:
    return "-".join(map(str, sorted(map(int, ends))))


def _split_jumps(path: CandleColumns, rows: Rows) -> Finding:
    jumps = find_split_jumps(path)
    mask = np.zeros(len(rows), bool)
    mask[[jump.row for jump in jumps]] = True
    if not jumps:
        return _finding(Defect.split_jump, path, mask)
    detail = (
        f"{', '.join(map(str, jumps[:EXAMPLES]))}: take prices that are adjusted (data.adjust), or start behind it with"
        f" data.start={iso(jumps[-1].open_time)}"
    )
    return _finding(Defect.split_jump, path, mask, detail, rows)


def _volume_switches(path: CandleColumns, rows: Rows) -> Finding:
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
    rows: Rows | None = None,
    count: int | None = None,
) -> Finding:
    # `rows` are the positions of `where` in the frame, if it is not the whole frame.
    hits = np.flatnonzero(mask)
    first = hits[:EXAMPLES]
    places = first if rows is None else rows[first]
    examples = tuple(Example(int(row), int(time)) for row, time in zip(places, where.open_time[first], strict=True))
    total = len(hits) if count is None else count
    return Finding(defect, total, examples, detail if total else "")
