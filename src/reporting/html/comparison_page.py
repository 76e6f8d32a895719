"""The files of a comparison: `comparison.html` for people, `comparison.json` for programs."""

from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np

from src.evaluation.comparison import Difference
from src.evaluation.returns import drawdowns
from src.market.bars import FloatArray
from src.reporting.comparison import Comparison, comparison_plain, could_be_luck, headings, includes_zero
from src.reporting.comparison import table_row as row_of
from src.reporting.figures_file import COMPARISON_FILE, write_figures
from src.reporting.formats import number, percent
from src.reporting.html.canvas import SERIES, STYLE, LineStyle, Plot, draw_line, money_axis, new_figure, to_svg
from src.reporting.html.charts.chart import Chart, Line, Panel, chart_card
from src.reporting.html.layout import caution_boxes, document, figure_card, note, table_card, table_head, table_row
from src.storage import write_atomic

PAGE_FILE = "comparison.html"
SIZE = (7.6, 3.3)  # inches; wider than other plots, yet readable on a phone

_LINE_STYLES: tuple[LineStyle, ...] = ("solid", "dashed", "dotted")  # the next once the colours are used up
_ONE_PAIR_EACH = (
    "Each interval is about its own pair alone: of twenty models no better than the first, one is expected to look"
    " different from it."
)


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write both files into `folder`; returns the path of the page."""
    write_comparison_plain(folder / COMPARISON_FILE, comparison)
    return write_atomic(folder / PAGE_FILE, comparison_page(comparison).encode())


def write_comparison_plain(path: Path, comparison: Comparison) -> Path:
    """Write the figures as JSON: stable keys, null where undefined, never NaN."""
    return write_figures(path, comparison_plain(comparison))


def comparison_page(comparison: Comparison) -> str:
    """Return the whole page."""
    about, (first_day, last_day) = comparison.first.description, comparison.first.period
    title = f"{len(comparison.reports)} models on {about.symbol} {about.timeframe}, {about.split}"
    remarks = caution_boxes(comparison.remarks)
    header = (
        f'<h1>{escape(title)}</h1>\n<p class="about">{first_day} to {last_day} · {len(comparison.first.closes):,} bars'
        f" · after costs</p>\n{remarks}"
    )
    growth = growth_plot(comparison)
    cards = [
        chart_card(growth.title, _chart(comparison)),
        figure_card(growth, wide=True, in_chart=True),
        _table_card(comparison),
        _differences_card(comparison),
    ]
    return document(title, header, "".join(cards), has_chart=True)


def _chart(comparison: Comparison) -> Chart:
    growth = [report.equity / report.performance.initial_equity for report in comparison.reports]

    def lines(curves: list[FloatArray]) -> list[Line]:
        named = enumerate(zip(comparison.reports, curves, strict=True))
        return [
            Line(report.description.model, curve, f"series{place % len(SERIES) + 1}", _line_style(place))
            for place, (report, curve) in named
        ]

    falls = [-100 * drawdowns(curve, 1.0) for curve in growth]
    panels = [
        Panel("equity, start = 1", 300, lines(growth), is_money=True),
        Panel("below the last peak", 140, lines(falls), unit="\N{NO-BREAK SPACE}%"),
    ]
    return Chart(comparison.first.bars, panels)


def growth_plot(comparison: Comparison) -> Plot:
    """Draw every equity curve from a start of 1; the table names the colours."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(SIZE)
        curves = [report.equity / report.performance.initial_equity for report in comparison.reports]
        for place, (report, curve) in enumerate(zip(comparison.reports, curves, strict=True)):
            draw_line(axes, report.times, curve, SERIES[place % len(SERIES)], report.description.model)
            axes.lines[-1].set_linestyle(_line_style(place))
        money_axis(axes, np.concatenate(curves), "equity, start = 1")
        best = max(comparison.reports, key=lambda report: report.performance.total_return)
        ended = percent(best.performance.total_return, sign=True)
        return Plot("growth", f"Highest at the end: {best.description.model}, {ended}", to_svg(figure))


def _table_card(comparison: Comparison) -> str:
    rows = "".join(
        table_row(row.model, row[1:], _swatch(place)) for place, row in enumerate(map(row_of, comparison.reports))
    )
    stations = "".join(map(note, comparison.stations))
    return table_card("models", "Each by itself", f"{table_head(headings(comparison))}<tbody>{rows}</tbody>", stations)


def _differences_card(comparison: Comparison) -> str:
    level = percent(comparison.differences[0].sharpe.level, digits=0)
    columns = ("", "mean return per year", f"{level} interval", "", "Sharpe ratio", f"{level} interval", "")
    rows = "".join(
        table_row(report.description.model, _difference_cells(less), _swatch(place))
        for place, (report, less) in enumerate(zip(comparison.reports[1:], comparison.differences, strict=True), 1)
    )
    title = f"Less {comparison.first.description.model}: could luck explain the difference?"
    remark = note(f"{_luck(comparison)} {_ONE_PAIR_EACH} {comparison.choice}".rstrip())
    return table_card("differences", title, f"{table_head(columns)}<tbody>{rows}</tbody>", remark)


def _luck(comparison: Comparison) -> str:
    pairs = zip(comparison.reports[1:], comparison.differences, strict=True)
    names = [report.description.model for report, less in pairs if could_be_luck(less)]
    first = comparison.first.description.model
    if not names:
        return f"Luck alone is an unlikely reason for any difference to {first}."
    return f"Luck alone could explain how {', '.join(names)} differ{'s' if len(names) == 1 else ''} from {first}."


def _swatch(place: int) -> str:
    colour = f"var(--series{place % len(SERIES) + 1})"
    return f'<span class="swatch" style="border-top-style: {_line_style(place)}; border-top-color: {colour}"></span>'


def _line_style(place: int) -> LineStyle:
    return _LINE_STYLES[place // len(SERIES) % len(_LINE_STYLES)]


def _difference_cells(less: Difference) -> tuple[str, ...]:
    mean, ratio = less.mean_return, less.sharpe
    return (
        percent(mean.estimate, sign=True),
        f"{percent(mean.low)} to {percent(mean.high)}",
        includes_zero(mean),
        number(ratio.estimate),
        f"{number(ratio.low)} to {number(ratio.high)}",
        includes_zero(ratio),
    )
