"""The list of trades: every round trip, or of very many those that moved the account most."""

import numpy as np
from numpy.typing import NDArray

from src.evaluation.trades import ORDERED
from src.market.bars import FloatArray
from src.reporting.formats import number, percent, price
from src.reporting.html.charts.bar_times import bar_name
from src.reporting.html.layout import note, table_card, table_head, table_row
from src.reporting.reasons import order_reason
from src.reporting.summary import Report
from src.reporting.trades_file import TRADES_FILE

MOST_TRADES = 300

_HEADINGS = ("from", "to", "side", "units", "price in", "price out", "profit", "return", "bars", "why in", "why out")
_REMARK = "Bars are called by when they open, in UTC. Profit is after all costs. A click on a heading sorts."


def trades_card(report: Report) -> str:
    """Return the table; a sentence where nothing was traded."""
    profit = report.trades.profit
    if not len(profit):
        return table_card("trades", "Trades: none", "", note("The account never held a position."))
    shown = _heaviest(profit)
    title, remark = f"Trades: {len(profit):,}", _REMARK
    if len(shown) < len(profit):
        title = f"{len(shown)} of {len(profit):,} trades: those of the largest profit or loss"
        remark = f"All of them are in {TRADES_FILE}. {_REMARK}"
    table = f"{table_head(_HEADINGS)}<tbody>{''.join(_rows(report, shown))}</tbody>"
    return table_card("trades", title, table, note(remark), is_sortable=True)


def _heaviest(profit: FloatArray) -> NDArray[np.intp]:
    # Places of the trades that moved the account most, in order of time.
    return np.sort(np.argsort(-np.abs(profit), kind="stable")[:MOST_TRADES])


def _rows(report: Report, places: NDArray[np.intp]) -> list[str]:
    bars, trades, ends = report.bars, report.trades, report.trades.exit_reason
    return [
        table_row(
            bar_name(bars, int(trades.entry_row[place])),
            (
                bar_name(bars, int(trades.exit_row[place])),
                "long" if trades.side[place] > 0 else "short",
                price(float(trades.units[place])),
                price(float(trades.entry_price[place])),
                price(float(trades.exit_price[place])),
                number(float(trades.profit[place])),
                percent(float(trades.returns[place]), sign=True),
                f"{trades.bars[place]:,}",
                order_reason(report, int(trades.entry_row[place])),
                order_reason(report, int(trades.exit_row[place])) if ends[place] == ORDERED else ends[place],
            ),
        )
        for place in places.tolist()
    ]
