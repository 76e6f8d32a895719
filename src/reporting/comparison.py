"""What a comparison of models over the same bars says in words and figures: rows, differences and verdicts.

The page, the console and `comparison.json` all speak from here. Each model's own figures are those of its report; the
differences come from `evaluation/comparison.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES, Interval
from src.evaluation.comparison import BestOfMany, Difference, best_of_many, differences_from_first
from src.evaluation.returns import simple_returns
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.stations import stations_sentence
from src.reporting.summary import Report, stop_sentence, summary_plain


class ComparisonRow(NamedTuple):
    """One line of the table, formatted."""

    model: str
    total_return: str
    sharpe: str
    sharpe_interval: str
    max_drawdown: str
    turnover: str


_HEADINGS = ComparisonRow(
    "model", "total return", "Sharpe ratio", "its interval", "deepest drawdown", "turnover per year, × equity"
)


@dataclass(frozen=True)
class Comparison:
    """Reports over the same bars, and how each after the first differs from it.

    Attributes:
        best: what choosing the best of those after the first amounts to; None where there is only one.
        remarks: what a reader should know before believing it, one sentence each.
    """

    reports: tuple[Report, ...]
    differences: tuple[Difference, ...]  # one fewer than reports
    best: BestOfMany | None = None
    remarks: tuple[str, ...] = ()

    @property
    def first(self) -> Report:
        """The report the others are compared with."""
        return self.reports[0]

    @property
    def verdicts(self) -> list[str]:
        """One sentence for each report after the first."""
        pairs = zip(self.reports[1:], self.differences, strict=True)
        return [
            difference_sentence(report.description.model, self.first.description.model, less) for report, less in pairs
        ]

    @property
    def choice(self) -> str:
        """One sentence on how much of the best is that it was chosen; empty where there was no choice."""
        return choice_sentence(self.best, len(self.differences), self.first.description.model)

    @property
    def stations(self) -> list[str]:
        """One sentence for each report whose decisions were reviewed, and one for each with protective stops."""
        said = []
        for report in self.reports:
            reviewed = "" if report.reviews is None else stations_sentence(report.reviews)
            said += [f"{report.description.model}: {text}" for text in (reviewed, stop_sentence(report)) if text]
        return said


def make_comparison(reports: Sequence[Report], rng: np.random.Generator, remarks: Sequence[str] = ()) -> Comparison:
    """Measure differences; `rng` draws the resamples.

    Raises:
        DataError: too few bars for an interval.
    """
    times = [report.records.close_time for report in reports]
    assert all(np.array_equal(times[0], other) for other in times[1:]), "reports are not over the same bars"
    if len(times[0]) < SHORTEST_SERIES:
        raise DataError(
            f"{len(times[0])} bars are too few to tell models apart, at least {SHORTEST_SERIES} are needed;"
            " choose another split or more data"
        )
    returns = [simple_returns(report.equity, report.performance.initial_equity) for report in reports]
    differences = differences_from_first(returns, reports[0].performance.bars_per_year, rng)
    return Comparison(tuple(reports), tuple(differences), best_of_many(returns, rng), tuple(remarks))


def comparison_plain(comparison: Comparison) -> dict[str, Any]:
    """Return the content of `comparison.json`: plain data, stable keys, null where undefined."""
    about, (first_day, last_day) = comparison.first.description, comparison.first.period
    against: list[dict[str, Any] | None] = [
        None,
        *(
            {"mean_return_per_year": _interval_plain(less.mean_return), "sharpe": _interval_plain(less.sharpe)}
            | {"verdict": words}
            for less, words in zip(comparison.differences, comparison.verdicts, strict=True)
        ),
    ]
    return {
        "symbol": about.symbol,
        "timeframe": about.timeframe,
        "split": about.split,
        "first_day": first_day,
        "last_day": last_day,
        "bars": len(comparison.first.closes),
        "data_fingerprint": about.data_fingerprint,
        "remarks": list(comparison.remarks),
        "best_of_many": None if comparison.best is None else asdict(comparison.best),
        "models": [
            {**summary_plain(report), "less_the_first": less}
            for report, less in zip(comparison.reports, against, strict=True)
        ],
    }


def headings(comparison: Comparison) -> ComparisonRow:
    """Return the names of the columns of `table_row`."""
    level = percent(comparison.differences[0].sharpe.level, digits=0)
    return _HEADINGS._replace(sharpe_interval=f"{level} interval")


def table_row(report: Report) -> ComparisonRow:
    """Return one model's line of the table."""
    measured, interval = report.performance, report.sharpe_interval
    return ComparisonRow(
        model=report.description.model,
        total_return=percent(measured.total_return, sign=True),
        sharpe=number(measured.sharpe),
        sharpe_interval=UNDEFINED if interval is None else f"{number(interval.low)} to {number(interval.high)}",
        max_drawdown=percent(measured.max_drawdown),
        turnover=number(measured.turnover_per_year, 1),
    )


def difference_sentence(name: str, first: str, less: Difference) -> str:
    """Say how far one is ahead of another, with intervals, and whether luck could explain it."""
    mean, ratio = less.mean_return, less.sharpe
    by_luck = " Luck alone could explain the difference." if could_be_luck(less) else ""
    return (
        f"{name} less {first}, with {percent(mean.level, digits=0)} intervals: mean return a year"
        f" {percent(mean.estimate, sign=True)}, {percent(mean.low)} to {percent(mean.high)}, {includes_zero(mean)};"
        f" Sharpe ratio {number(ratio.estimate)}, {number(ratio.low)} to {number(ratio.high)},"
        f" {includes_zero(ratio)}.{by_luck}"
    )


def choice_sentence(best: BestOfMany | None, others: int, first: str) -> str:
    """Say how much of the best of those after the first is that it was chosen; empty where there was no choice."""
    if best is None:
        return ""
    halves = (
        ""
        if best.overfitting is None
        else " What is best on one half of these bars, by Sharpe ratio, is in the lower half on the other with"
        f" probability {number(best.overfitting)}."
    )
    return (
        f"The best of {others} less {first}, by mean return: by luck alone as far ahead with"
        f" probability {number(best.luck)}, were none better than {first} (Hansen's test).{halves}"
    )


def could_be_luck(less: Difference) -> bool:
    """Say whether both intervals include 0."""
    return not less.mean_return.excludes(0.0) and not less.sharpe.excludes(0.0)


def includes_zero(interval: Interval) -> str:
    """Say whether an interval includes 0."""
    return "excludes 0" if interval.excludes(0.0) else "includes 0"


def _interval_plain(interval: Interval) -> dict[str, Any]:
    return {**asdict(interval), "includes_zero": not interval.excludes(0.0)}
