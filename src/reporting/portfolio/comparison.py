"""Members side by side over the same rows: a table, what each differs by from the first, and a page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES
from src.evaluation.comparison import BestOfMany, Difference, best_of_many, differences_from_first
from src.evaluation.returns import simple_returns
from src.reporting.comparison import choice_sentence, difference_sentence
from src.reporting.figures_file import COMPARISON_FILE, write_figures
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.html.canvas import SERIES, STYLE, Plot, add_legend, draw_line, money_axis, new_figure, to_svg
from src.reporting.html.comparison_page import PAGE_FILE, SIZE
from src.reporting.html.layout import document, figure_card, note, table_card, table_head, table_row
from src.reporting.portfolio.summary import PortfolioReport, portfolio_plain
from src.storage import write_atomic

HEADINGS = ("member", "total return", "Sharpe ratio", "its interval", "deepest drawdown", "gross", "turnover a year")


@dataclass(frozen=True)
class PortfolioComparison:
    """Reports over the same rows, and how each after the first differs from it.

    Attributes:
        best: what choosing the best of those after the first amounts to; None where there is only one.
    """

    reports: tuple[PortfolioReport, ...]
    differences: tuple[Difference, ...]  # one fewer than reports
    best: BestOfMany | None

    @property
    def sentences(self) -> list[str]:
        """One sentence for each report after the first."""
        first = self.reports[0].description.member
        pairs = zip(self.reports[1:], self.differences, strict=True)
        return [difference_sentence(report.description.member, first, less) for report, less in pairs]

    @property
    def choice(self) -> str:
        """One sentence on how much of the best is that it was chosen; empty where there was no choice."""
        return choice_sentence(self.best, len(self.differences), self.reports[0].description.member)


def compare_portfolios(reports: Sequence[PortfolioReport], rng: np.random.Generator) -> PortfolioComparison:
    """Measure differences over the rows that all have in common at the end; `rng` draws the resamples.

    Raises:
        DataError: too few rows for an interval.
    """
    rows = min(len(report.panel) for report in reports)
    if rows < SHORTEST_SERIES:
        raise DataError(f"{rows} bars are too few to tell members apart; choose another split or more data")
    returns = [simple_returns(report.equity, report.performance.initial_equity)[-rows:] for report in reports]
    differences = differences_from_first(returns, reports[0].performance.bars_per_year, rng)
    return PortfolioComparison(tuple(reports), tuple(differences), best_of_many(returns, rng))


def comparison_rows(comparison: PortfolioComparison) -> list[tuple[str, ...]]:
    """Return a row for each member, formatted, under `HEADINGS`."""
    return [_row(report) for report in comparison.reports]


def comparison_figures(comparison: PortfolioComparison) -> dict[str, Any]:
    """Return the content of `comparison.json`: plain data, stable keys, null where undefined."""
    less: list[dict[str, Any] | None] = [None, *(asdict(difference) for difference in comparison.differences)]
    return {
        "members": [
            {**portfolio_plain(report), "less_the_first": difference}
            for report, difference in zip(comparison.reports, less, strict=True)
        ],
        "best_of_many": None if comparison.best is None else asdict(comparison.best),
    }


def write_portfolio_comparison(folder: Path, comparison: PortfolioComparison) -> Path:
    """Write page and figures into `folder`; returns the path of the page."""
    write_figures(folder / COMPARISON_FILE, comparison_figures(comparison))
    return write_atomic(folder / PAGE_FILE, _page(comparison).encode())


def _page(comparison: PortfolioComparison) -> str:
    first, (begins, ends) = comparison.reports[0], comparison.reports[0].period
    about = first.description
    title = f"{len(comparison.reports)} members on {about.portfolio} {about.timeframe}, {about.split}"
    header = f'<h1>{escape(title)}</h1><p class="about">{begins} to {ends} · after costs</p>'
    rows = "".join(table_row(row[0], row[1:]) for row in comparison_rows(comparison))
    table = f"{table_head(HEADINGS)}<tbody>{rows}</tbody>"
    remarks = "".join(map(note, [*comparison.sentences, comparison.choice]))
    cards = f"{figure_card(_growth(comparison), wide=True)}{table_card('members', 'Each by itself', table, remarks)}"
    return document(title, header, cards)


def _growth(comparison: PortfolioComparison) -> Plot:
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(SIZE)
        curves = [report.equity / report.performance.initial_equity for report in comparison.reports]
        for place, (report, curve) in enumerate(zip(comparison.reports, curves, strict=True)):
            draw_line(axes, report.times, curve, SERIES[place % len(SERIES)], report.description.member)
        money_axis(axes, np.concatenate(curves), "equity, start = 1")
        add_legend(axes, columns=3)
        best = max(comparison.reports, key=lambda report: report.performance.total_return)
        ended = percent(best.performance.total_return, sign=True)
        return Plot("growth", f"Highest at the end: {best.description.member}, {ended}", to_svg(figure))


def _row(report: PortfolioReport) -> tuple[str, ...]:
    measured, interval = report.performance, report.sharpe_interval
    return (
        report.description.member,
        percent(measured.total_return, sign=True),
        number(measured.sharpe),
        UNDEFINED if interval is None else f"{number(interval.low)} to {number(interval.high)}",
        percent(measured.max_drawdown),
        percent(measured.gross_exposure),
        number(measured.turnover_per_year, 1),
    )
