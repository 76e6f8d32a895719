"""The files of a rolling retrain: `rolling.html` for people, `rolling.json` for programs."""

from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np

from src.evaluation.returns import drawdowns
from src.reporting.figures_file import ROLLING_FILE, write_figures
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.html.canvas import (
    BENCHMARK,
    MUTED,
    STRATEGY,
    STYLE,
    Plot,
    add_legend,
    draw_line,
    money_axis,
    new_figure,
    to_svg,
)
from src.reporting.html.charts.chart import Chart, Line, Panel, chart_card
from src.reporting.html.layout import (
    document,
    figure_card,
    note,
    table_card,
    table_head,
    table_row,
    tile_row,
    verdict_box,
)
from src.reporting.rolling import CURVE_HEADINGS, STEP_HEADINGS, RollingRecord, curve_rows, rolling_plain, step_rows
from src.storage import write_atomic

PAGE_FILE = "rolling.html"
SIZE = (7.6, 3.3)  # inches; wider than other plots, yet readable on a phone

_BORDERS = (
    "Dotted lines are the borders of the steps: there a model takes over that was trained and chosen on the bars before"
    " it alone. Each opens a fresh account at the close of its first bar, so that bar earns nothing."
)
_ALIKE = "The baselines trade the same stretches from fresh accounts and pay the same costs."


def write_rolling(folder: Path, record: RollingRecord) -> Path:
    """Write both files into `folder`; returns the path of the page."""
    write_figures(folder / ROLLING_FILE, rolling_plain(record))
    return write_atomic(folder / PAGE_FILE, rolling_page(record).encode())


def rolling_page(record: RollingRecord) -> str:
    """Return the whole page."""
    about, (first_day, last_day) = record.steps[0].description, record.period
    title = f"{about.symbol} {about.timeframe}: retrained {len(record.steps)} times, always traded ahead"
    bars = f"{first_day} to {last_day} · {len(record.stitched.equity):,} bars"
    header = (
        f'<h1>{escape(title)}</h1>\n<p class="about">{bars} that no model had seen · after costs</p>\n'
        f"{verdict_box(record.verdict, mood=_mood(record))}\n{_tiles(record)}"
    )
    picture = stitched_plot(record)
    cards = [
        chart_card(picture.title, _chart(record), _BORDERS),
        figure_card(picture, wide=True, below=note(_BORDERS), in_chart=True),
        _curves_card(record),
        _steps_card(record),
    ]
    return document(title, header, "".join(cards), has_chart=True)


def _chart(record: RollingRecord) -> Chart:
    curves = (("stitched record", record.stitched, "strategy"), ("buy and hold", record.market, "benchmark"))
    growth = [Line(name, curve.equity, colour) for name, curve, colour in curves]
    falls = [Line(name, -100 * drawdowns(curve.equity, 1.0), colour) for name, curve, colour in curves]
    panels = [
        Panel("equity, start = 1", 280, growth, is_money=True),
        Panel("below the last peak", 120, falls, unit="\N{NO-BREAK SPACE}%"),
    ]
    borders = np.cumsum([len(step.closes) for step in record.steps[:-1]]).tolist()
    return Chart([step.bars for step in record.steps], panels, borders=borders)


def stitched_plot(record: RollingRecord) -> Plot:
    """Draw the stitched equity against the market, from a start of 1, and where models changed."""
    with mpl.rc_context(STYLE):
        figure, axes = new_figure(SIZE)
        for step in record.steps[1:]:
            axes.axvline(step.times[0], color=MUTED, linewidth=0.8, linestyle="dotted")
        draw_line(axes, record.times, record.market.equity, BENCHMARK, "buy and hold")
        draw_line(axes, record.times, record.stitched.equity, STRATEGY, "stitched record")
        money_axis(axes, np.concatenate([record.stitched.equity, record.market.equity]), "equity, start = 1")
        add_legend(axes)
        ends = (percent(one.metrics.total_return, sign=True) for one in (record.stitched, record.market))
        return Plot("stitched", "Out of sample throughout: {}; buy and hold {}".format(*ends), to_svg(figure))


def _mood(record: RollingRecord) -> str:
    interval = record.stitched.sharpe_interval
    if not record.beats_market:
        return "worse"
    return "better" if interval is not None and interval.excludes(0.0) else ""


def _tiles(record: RollingRecord) -> str:
    ours, market, interval = record.stitched.metrics, record.market.metrics, record.stitched.sharpe_interval
    span = UNDEFINED if interval is None else f"{number(interval.low)} to {number(interval.high)}"
    ahead = sum(step.performance.beats_buy_and_hold for step in record.steps)
    return tile_row(
        [
            (
                "Total return",
                percent(ours.total_return, sign=True),
                f"buy and hold {percent(market.total_return, sign=True)}",
            ),
            ("Sharpe ratio", number(ours.sharpe), f"95 % interval {span}"),
            ("Deepest drawdown", percent(ours.max_drawdown), f"buy and hold {percent(market.max_drawdown)}"),
            ("Steps ahead of the market", f"{ahead} of {len(record.steps)}", f"looks at these bars: {record.looks}"),
        ]
    )


def _curves_card(record: RollingRecord) -> str:
    rows = "".join(table_row(row.name, row[1:]) for row in curve_rows(record))
    title = "Over the same bars"
    return table_card("records", title, f"{table_head(CURVE_HEADINGS)}<tbody>{rows}</tbody>", note(_ALIKE))


def _steps_card(record: RollingRecord) -> str:
    rows = "".join(table_row(label, cells) for label, *cells in step_rows(record))
    return table_card("steps", "Step by step", f"{table_head(STEP_HEADINGS)}<tbody>{rows}</tbody>")
