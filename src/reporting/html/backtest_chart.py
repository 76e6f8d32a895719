"""The chart of a report: candles and where trades began and ended, exposure, equity and drawdown over the same bars."""

import numpy as np

from src.evaluation.returns import drawdowns
from src.reporting.formats import percent
from src.reporting.html.charts.chart import Candles, Chart, Line, Marks, Panel, chart_card
from src.reporting.reasons import fill_texts
from src.reporting.summary import Report
from src.trading.fills import fills_of

MOST_NOTES = 2_000  # fills told one by one; of more, the chart only counts where trades began and ended

_KEY = "A trade began or ended by buying at ▲, by selling at ▼."


def backtest_chart(report: Report) -> str:
    """Return the card; its pictures without scripts are those of `equity`, `drawdown` and `position`."""
    return chart_card(_title(report), Chart(report.bars, _panels(report), _marks(report)), _KEY)


def _title(report: Report) -> str:
    count, hit_rate = len(report.trades), report.performance.hit_rate
    if not count:
        return "Prices, and an account that never traded"
    won = "" if hit_rate is None else f", {percent(hit_rate, digits=0)} of them with a profit"
    return f"Prices and what was traded: {count:,} trade{'' if count == 1 else 's'}{won}"


def _panels(report: Report) -> list[Panel]:
    bars, initial = report.bars, report.performance.initial_equity
    sides = {"strategy": (report.equity, "strategy"), "buy and hold": (report.benchmark, "benchmark")}
    falls = [Line(name, -100 * drawdowns(equity, initial), colour) for name, (equity, colour) in sides.items()]
    return [
        Panel("price", 300, candles=Candles(bars.open, bars.high, bars.low, bars.close), is_money=True),
        Panel("exposure", 90, [Line("exposure", report.exposures, "strategy", is_area=True)]),
        Panel("equity", 190, [Line(name, equity, colour) for name, (equity, colour) in sides.items()], is_money=True),
        Panel("below the last peak", 110, falls, unit="\N{NO-BREAK SPACE}%"),
    ]


def _marks(report: Report) -> Marks:
    fills = fills_of(report.records)
    turns = np.sign(fills.held_before) != np.sign(fills.held_after)
    buys, sells = (
        np.bincount(fills.row[turns & side], minlength=len(report.bars)).astype(np.float64)
        for side in (fills.units > 0, fills.units < 0)
    )
    return Marks(buys, sells, fill_texts(report, fills) if len(fills.row) <= MOST_NOTES else {})
