"""What the defects of a raw frame of bars lead to, and the repairs that cannot invent a price.

`assess` decides from a report, `judge` inspects, decides and repairs, `clean` raises on refusal. Reactions per defect
are the mappings `STRICT` and `DROP` below, explained in `docs/data_quality.md`. Nothing is ever filled, averaged or
interpolated. Evidence that is only statistical (outliers, splits, volume units) warns and never refuses; a price ten
times off for a moment is no statistics.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import pandas as pd

from src.errors import DataError
from src.market.quality import defects, spikes
from src.market.quality.defects import CandleColumns, Mask, candle_columns
from src.market.quality.dropping import why_too_much
from src.market.quality.findings import Defect, Finding, QualityReport
from src.market.quality.inspection import in_time, inspect


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
    Defect.tenfold_spike: Reaction.refuse,
    Defect.wide_bar: Reaction.warn,
    Defect.split_jump: Reaction.warn,
    Defect.clock_change: Reaction.refuse,
    Defect.other_length: Reaction.refuse,
    Defect.trades: Reaction.warn,
    Defect.volume_switch: Reaction.warn,
}

# Chosen by the user: rows without a usable price or volume leave, which makes gaps and nothing else. `dropping.py`
# says how many may.
DROP: Policy = {
    **STRICT,
    Defect.bad_price: Reaction.drop,
    Defect.bad_volume: Reaction.drop,
    Defect.impossible_candle: Reaction.drop,
    Defect.tenfold_spike: Reaction.drop,
}
_LEAVE_OUT = "mend the source, or leave such rows out with data.drop_defective=true"

REMEDY: Mapping[Defect, str] = {
    Defect.conflicting_duplicate: "keep one row per time, of which you know it is right",
    Defect.bad_price: _LEAVE_OUT,
    Defect.bad_volume: _LEAVE_OUT,
    Defect.impossible_candle: _LEAVE_OUT,
    Defect.swapped_columns: "name them with data.columns",
    Defect.off_grid: "check the timeframe, and convert the times to UTC bar opens",
    Defect.tenfold_spike: _LEAVE_OUT,
    Defect.clock_change: "convert the times to UTC",
    Defect.other_length: "or make a file of bars of one length",
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a raw frame.

    Attributes:
        report: what was found in all of its rows.
        verdict: whether they may be used. Where rows were left out, the warnings are about the rows that are left.
        frame: in order of time, without the rows that the policy drops; where refused, as it was.
    """

    report: QualityReport
    verdict: QualityVerdict
    frame: pd.DataFrame


def judge(
    frame: pd.DataFrame, timeframe_ms: int | None = None, policy: Policy = STRICT, now_ms: int | None = None
) -> Judgement:
    """Inspect a frame, decide, and repair it where it is not refused.

    Raises:
        DataError: it cannot be inspected.
    """
    report = inspect(frame, timeframe_ms, now_ms)
    verdict = assess(report, policy)
    dropping = any(policy[finding.defect] is Reaction.drop for finding in report.findings)
    if dropping:
        verdict = _refused_too(verdict, why_too_much(candle_columns(frame), _leaving(frame, report, policy, now_ms)))
    if verdict.outcome is Usability.refused:
        return Judgement(report, verdict, frame)
    left = _left(frame, report, policy, now_ms)
    if dropping:
        after = assess(inspect(left, report.timeframe_ms, now_ms), policy)
        verdict = replace(verdict, warnings=after.warnings)
        if after.outcome is Usability.refused:
            verdict = _refused_too(verdict, after.reasons)
    return Judgement(report, verdict, left.reset_index(drop=True))


def _refused_too(verdict: QualityVerdict, reasons: tuple[str, ...]) -> QualityVerdict:
    if not reasons:
        return verdict
    others = verdict.reasons if verdict.outcome is Usability.refused else ()
    return QualityVerdict(Usability.refused, (*reasons, *others), verdict.warnings)


def repair(
    frame: pd.DataFrame, report: QualityReport, policy: Policy = STRICT, now_ms: int | None = None
) -> pd.DataFrame:
    """Return the frame sorted, without the rows the policy drops; no value of a kept row changes.

    What the policy refuses is left in place: `assess` first.
    """
    return _left(frame, report, policy, now_ms).reset_index(drop=True)


def _left(frame: pd.DataFrame, report: QualityReport, policy: Policy, now_ms: int | None) -> pd.DataFrame:
    # Rows keep their labels.
    leaving = _leaving(frame, report, policy, now_ms)
    kept = frame[~leaving] if leaving.any() else frame
    if defects.is_rising(kept["open_time"].to_numpy()):
        return kept
    return kept.sort_values("open_time", kind="stable")


def _leaving(frame: pd.DataFrame, report: QualityReport, policy: Policy, now_ms: int | None) -> Mask:
    changing = (Reaction.repair, Reaction.drop)
    leaving = np.zeros(len(frame), bool)
    if not any(report.count(defect) for defect, reaction in policy.items() if reaction in changing):
        return leaving
    every = candle_columns(frame)
    droppers: dict[Defect, Callable[[], Mask]] = {
        Defect.exact_duplicate: lambda: defects.exact_duplicates(every),
        Defect.bad_price: lambda: defects.bad_prices(every),
        Defect.bad_volume: lambda: defects.bad_volumes(every),
        Defect.impossible_candle: lambda: defects.impossible_candles(every),
        Defect.tenfold_spike: lambda: _tenfold_spikes(every),
        Defect.forming: lambda: defects.not_closed(every, report.timeframe_ms, now_ms),
    }
    for defect, rows in droppers.items():
        if report.count(defect) and policy[defect] in changing:
            leaving |= rows()
    return leaving


def _tenfold_spikes(every: CandleColumns) -> Mask:
    path, rows = in_time(every, ~(defects.bad_prices(every) | defects.impossible_candles(every)))
    marked = np.zeros(len(every.open_time), bool)
    marked[rows[spikes.tenfold_spikes(path)]] = True
    return marked


def clean(
    name: str,
    frame: pd.DataFrame,
    timeframe_ms: int | None = None,
    policy: Policy = STRICT,
    now_ms: int | None = None,
) -> pd.DataFrame:
    """Judge a frame and return it repaired; `name` is what the refusal calls the data.

    Raises:
        DataError: the policy refuses a defect that occurs; the message names each, with place and remedy.
    """
    judged = judge(frame, timeframe_ms, policy, now_ms)
    if judged.verdict.outcome is Usability.refused:
        raise DataError(f"{name}: {' | '.join(judged.verdict.reasons)}")
    return judged.frame
