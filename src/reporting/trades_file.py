"""`trades.csv`: the round trips of an account, one row a trade, in order of entry."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.reporting.summary import Report
from src.storage import write_atomic

TRADES_FILE = "trades.csv"


class TradeRow(NamedTuple):
    """One trade. Times are ISO 8601 in UTC; prices and money in quote currency; prices hold spread and slippage."""

    entry_time: str  # when the bar opened at whose open the position was opened
    exit_time: (
        str  # the same of its end; a margin call or a stop came in that bar, a trade still open is marked at this close
    )
    side: str  # long or short
    quantity: float  # units entered, over the life of the trade
    entry_price: float  # average
    exit_price: float  # average
    profit: float  # after costs
    costs: float  # commission, spread, slippage and interest
    bars: int  # closes it has seen
    return_frac: float  # profit over the value at entry
    exit_reason: str  # order, margin call, protective stop or still open; and what stations said of the decision


def trade_rows(report: Report) -> list[TradeRow]:
    """Return the trades of a report."""
    trades, bars = report.trades, report.bars
    ended = np.where(trades.is_closed, bars.open_time[trades.exit_row], bars.close_time[trades.exit_row])
    columns = (
        _iso(bars.open_time[trades.entry_row]),
        _iso(ended),
        np.where(trades.side > 0, "long", "short").tolist(),
        *(
            column.tolist()
            for column in (
                trades.units,
                trades.entry_price,
                trades.exit_price,
                trades.profit,
                trades.costs,
                trades.bars,
                trades.returns,
            )
        ),
        report.exit_reasons,
    )
    return [TradeRow(*row) for row in zip(*columns, strict=True)]


def write_trades(path: Path, report: Report) -> Path:
    """Write the trades as CSV, columns named as in `TradeRow`; without a trade, the names alone."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(TradeRow._fields)
    rows.writerows(trade_rows(report))
    return write_atomic(path, text.getvalue().encode())


def _iso(times: NDArray[np.int64]) -> list[str]:
    # Milliseconds only where a time has some.
    unit = "ms" if (times % 1_000).any() else "s"
    return [f"{time}Z" for time in times.astype("datetime64[ms]").astype(f"datetime64[{unit}]").astype(str).tolist()]
