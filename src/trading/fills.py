"""`FillTable`: every fill of an account one by one, with what was held before and after and why it came about.

Not here: the round trips that fills make up (`evaluation.trades`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import FloatArray
from src.trading.records import StepRecord


class FillTable(NamedTuple):
    """Fills in the order in which they happened, (K,) each. Money in quote currency, costs positive."""

    row: NDArray[np.int64]  # of the records: the bar it happened in
    is_margin_call: NDArray[np.bool_]
    is_stop: NDArray[np.bool_]  # a protective stop; neither of them: an order decided at the close before
    units: FloatArray  # signed
    price: FloatArray  # execution price, spread and slippage included
    commission: FloatArray
    spread: FloatArray
    slippage: FloatArray
    held_before: FloatArray  # signed units
    held_after: FloatArray

    @property
    def costs(self) -> FloatArray:
        """What each fill cost, (K,): commission, spread and slippage."""
        return self.commission + self.spread + self.slippage


def fills_of(records: StepRecord) -> FillTable:
    """Return the fills in the records (T,) of an account that was flat before the first.

    Raises:
        DataError: there are no records, or a position is not the sum of the fills up to it.
    """
    columns = StepRecord(*[np.asarray(column, dtype=np.float64) for column in records])
    _refuse_inconsistent(columns)
    before = np.concatenate([[0.0], columns.units[:-1]])
    between = (
        columns.units - columns.call_units
    )  # what is held after the order: a margin call or a stop closes all of it
    of_both = columns.commission, columns.spread, columns.slippage
    of_call = columns.call_commission, columns.call_spread, columns.call_slippage
    of_order = [both - call for both, call in zip(of_both, of_call, strict=True)]
    orders = (columns.fill_units, columns.fill_price, *of_order, before, between)
    calls = (columns.call_units, columns.call_price, *of_call, between, columns.units)
    ordered, called = np.flatnonzero(columns.fill_units), np.flatnonzero(columns.call_units)
    row = np.concatenate([ordered, called])
    in_time = np.argsort(row, kind="stable")  # of two in one bar, the order comes first
    is_call = np.arange(len(row)) >= len(ordered)
    joined = [np.concatenate([o[ordered], c[called]])[in_time] for o, c in zip(orders, calls, strict=True)]
    row, is_call = row[in_time], is_call[in_time]
    ruins = columns.terminated[row] != 0  # a stop that leaves no equity counts as a margin call
    return FillTable(row, is_call & ruins, is_call & ~ruins, *joined)


def _refuse_inconsistent(columns: StepRecord) -> None:
    position, fill = columns.units, columns.fill_units + columns.call_units
    if position.size == 0:
        raise DataError("there are no step records to evaluate; run at least one bar")
    summed = np.cumsum(fill)
    scale = np.abs(position).max() + np.abs(fill).max()
    wrong = np.abs(position - summed) > 1e-9 * scale * np.sqrt(position.size)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"position {position[row]:g} at row {row} is not the sum of fills {summed[row]:g}; "
            "evaluate records of one account from a flat start"
        )
