"""Why an account filled something, in words: the decision behind an order and what stations made of it, or a call."""

import numpy as np

from src.evaluation.trades import MARGIN_CALL, STOPPED
from src.reporting.formats import number, price
from src.reporting.summary import Report
from src.trading.fills import FillTable


def order_reason(report: Report, row: int) -> str:
    """Say what was decided at the close before bar `row`, whose open filled it, and what stations had made of it."""
    decided = f"target {number(float(report.records.target[row - 1]))}"
    changes = () if report.reviews is None else report.reviews.changes[row - 1]
    return "; ".join([decided, *(change.sentence for change in changes)])


def fill_texts(report: Report, fills: FillTable) -> dict[int, list[str]]:
    """Say of every fill what was bought or sold, at which price and why, by the row of its bar."""
    texts: dict[int, list[str]] = {}
    called = np.where(fills.is_margin_call, MARGIN_CALL, np.where(fills.is_stop, STOPPED, "")).tolist()
    for row, call, units, paid in zip(fills.row.tolist(), called, fills.units, fills.price, strict=True):
        done = f"{'bought' if units > 0 else 'sold'} {price(abs(units))} at {price(paid)}"
        texts.setdefault(row, []).append(f"{done} ({call or order_reason(report, row)})")
    return texts
