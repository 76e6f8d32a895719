"""`Trades`: the round trips of an account, made of its fills.

A trade begins when the position leaves zero or changes sign and ends when it returns to zero or changes sign again; a
fill that flips the position is split into the units that close the old trade and the units that open the new one.
Increases and partial reductions stay inside the trade they change. Entry and exit prices are averages over the units
(average-cost method); the profit does not depend on that choice, because it is the sum of the trade's cash flows.
Spread and slippage are part of the fill price, so a trade's profit is after all costs, and the profits of all trades
add up to the change of equity.

Not here: statistics over trades (`returns.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.trading.fills import FillTable, fills_of
from src.trading.records import StepRecord

IntArray = NDArray[np.int64]

ORDERED, MARGIN_CALL, STOPPED, STILL_OPEN = "order", "margin call", "protective stop", "still open"  # why a trade ended


@dataclass(frozen=True)
class Trades:
    """Round trips in order of entry; arrays are (K,). Prices and money in quote currency.

    A trade still open at the last record is kept, marked at the last close, with `is_closed` False.
    """

    entry_row: IntArray  # row whose bar opened the trade
    exit_row: IntArray  # row whose bar closed it; the last row while open
    side: IntArray  # +1 long, -1 short
    units: FloatArray  # units entered over the life of the trade, positive
    entry_price: FloatArray  # average over the units entered
    exit_price: FloatArray  # average over the units left; what is still held counts at the last close
    profit: FloatArray  # after commission, spread, slippage and financing
    costs: FloatArray  # these four together, positive
    is_closed: NDArray[np.bool_]
    is_margin_call: NDArray[np.bool_]  # closed by one
    is_stop: NDArray[np.bool_]  # closed by a protective stop; by an order if by neither

    def __len__(self) -> int:
        return int(self.entry_row.shape[0])

    @property
    def bars(self) -> IntArray:
        """Closes that each trade has seen, (K,); 0 for one that ended in the bar it began in."""
        return self.exit_row - self.entry_row + ~self.is_closed

    @property
    def returns(self) -> FloatArray:
        """Profit over the value at entry, (K,)."""
        returns: FloatArray = self.profit / (self.units * self.entry_price)
        return returns

    @property
    def exit_reason(self) -> list[str]:
        """Why each trade ended, (K,): `order`, `margin call`, `protective stop`, or `still open`."""
        called = np.where(self.is_margin_call, MARGIN_CALL, np.where(self.is_stop, STOPPED, ORDERED))
        reasons: list[str] = np.where(self.is_closed, called, STILL_OPEN).tolist()
        return reasons


def extract_trades(records: StepRecord, closes: FloatArray) -> Trades:
    """Return the round trips in the records of one account.

    Args:
        records: (T,) arrays of an account that was flat before the first record.
        closes: (T,) close of each record's bar; the last one marks a trade that is still open.

    Raises:
        DataError: the account did not begin flat, or a position is not the sum of the fills up to it.
    """
    fills = fills_of(records)
    before, after = np.sign(fills.held_before), np.sign(fills.held_after)
    opens, ends = (before != after) & (after != 0), np.flatnonzero((before != after) & (before != 0))
    count = int(opens.sum())
    parts = _Parts(fills, opens, count)
    bought, sold = parts.entered_for(fills.price), -parts.left_for(fills.price)
    still_open = count - len(ends)  # the last, if any: trades end in the order in which they begin
    if still_open:
        sold[-1] += fills.held_after[-1] * float(closes[-1])
    units, entry_row = parts.entered_for(np.ones(len(fills.row))), fills.row[opens]
    financing = _financing(records, entry_row, count)
    return Trades(
        entry_row=entry_row,
        exit_row=np.append(fills.row[ends], np.full(still_open, len(closes) - 1)),
        side=after[opens].astype(np.int64),
        units=np.abs(units),
        entry_price=bought / units,
        exit_price=sold / units,
        profit=sold - bought - parts.shared(fills.commission) - financing,
        costs=parts.shared(fills.costs) + financing,
        is_closed=np.arange(count) < len(ends),
        is_margin_call=np.append(fills.is_margin_call[ends], np.zeros(still_open, dtype=np.bool_)),
        is_stop=np.append(fills.is_stop[ends], np.zeros(still_open, dtype=np.bool_)),
    )


class _Parts:
    # Fills (K,) split into the units that enlarge or open a position and those that shrink or close one; sums by trade.

    def __init__(self, fills: FillTable, opens: NDArray[np.bool_], count: int) -> None:
        before, after = fills.held_before, fills.held_after
        flips = np.sign(before) * np.sign(after) < 0
        grows = ~flips & (np.abs(after) > np.abs(before))
        self._entered = np.where(flips, after, np.where(grows, fills.units, 0.0))  # signed units
        self._left = np.where(flips, -before, np.where(grows, 0.0, fills.units))
        self._count = count
        self._trade = np.cumsum(opens) - 1  # the trade after the fill, and the one before it
        self._earlier = self._trade - opens

    def entered_for(self, price: FloatArray) -> FloatArray:
        return _sum_by(self._trade, self._entered * price, self._count)

    def left_for(self, price: FloatArray) -> FloatArray:
        return _sum_by(self._earlier, self._left * price, self._count)

    def shared(self, costs: FloatArray) -> FloatArray:
        # Where a fill flips the position, units share what it cost.
        share = np.abs(self._entered) / (np.abs(self._entered) + np.abs(self._left))
        opening = _sum_by(self._trade, costs * share, self._count)
        return opening + _sum_by(self._earlier, costs * (1.0 - share), self._count)


def _financing(records: StepRecord, entry_row: IntArray, count: int) -> FloatArray:
    # Interest is for the time since the prior close: it falls on the trade held then, else on the one the bar opened.
    units, rows = np.asarray(records.units), np.arange(len(records.units))
    held = np.concatenate([[False], units[:-1] != 0])
    so_far, until_then = (np.searchsorted(entry_row, rows, side) - 1 for side in ("right", "left"))
    owner = np.where(held, until_then, so_far)
    return _sum_by(owner, np.asarray(records.financing, dtype=np.float64), count)


def _sum_by(trade: IntArray, values: FloatArray, count: int) -> FloatArray:
    # Sum of values per trade; what comes before the first trade carries index -1 and belongs to none.
    totals = np.zeros(count + 1)
    np.add.at(totals, trade + 1, values)
    return totals[1:]
