"""The chart of a report: candles with what was bought and sold, exposure, equity and drawdown, over the same bars."""

import numpy as np

from src.evaluation.returns import drawdowns
from src.reporting.formats import percent
from src.reporting.html.charts.chart import Chart, Line, Marks, Panel, chart_card
from src.reporting.summary import Report

MOST_NOTES = 2_000  # fills told one by one; of more, the chart only counts them


def backtest_chart(report: Report) -> str:
    """Return the card; its pictures without scripts are those of `equity`, `drawdown` and `position`."""
    return chart_card(_title(report), Chart(report.times, _panels(report), _marks(report)))


def _title(report: Report) -> str:
    measured = report.performance
    if not measured.trades and not measured.has_open_trade:
        return "Prices, and an account that never traded"
    won = "" if measured.hit_rate is None else f", {percent(measured.hit_rate, digits=0)} of them won"
    return f"Prices and what was traded: {measured.trades:,} closed trades{won}"


def _panels(report: Report) -> list[Panel]:
    initial = report.performance.initial_equity
    sides = {"strategy": (report.equity, "strategy"), "buy and hold": (report.benchmark, "benchmark")}
    falls = [Line(name, -100 * drawdowns(equity, initial), colour) for name, (equity, colour) in sides.items()]
    return [
        Panel("close", 300, [Line("close", report.closes, "ink")], is_money=True),
        Panel("exposure", 90, [Line("exposure", report.exposures, "strategy", is_area=True)]),
        Panel("equity", 190, [Line(name, equity, colour) for name, (equity, colour) in sides.items()], is_money=True),
        Panel("below the last peak", 110, falls, unit="\N{NO-BREAK SPACE}%"),
    ]


def _marks(report: Report) -> Marks:
    filled = np.asarray(report.records.fill_units, dtype=np.float64)
    prices = np.asarray(report.records.fill_price)
    rows = np.flatnonzero(filled)
    notes = {}
    if len(rows) <= MOST_NOTES:
        notes = {
            int(row): [f"{'buy' if filled[row] > 0 else 'sell'} {abs(filled[row]):,.6g} at {prices[row]:,.6g}"]
            for row in rows
        }
    return Marks((filled > 0).astype(np.float64), (filled < 0).astype(np.float64), notes)
