"""`Trades`: the round trips of an account, read off its step records.

A trade begins when the position leaves zero or changes sign and ends when it returns to zero or changes sign again; a
fill that flips the position is split into the units that close the old trade and the units that open the new one.
Increases and partial reductions stay inside the trade they change. Entry and exit prices are averages over the units
(average-cost method); the profit does not depend on that choice, because it is the sum of the trade's cash flows.
Spread and slippage are part of the fill price, so a trade's profit is after all costs.

Not here: statistics over trades (`returns.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError
from src.market.bars import FloatArray
from src.trading.records import StepRecord

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Trades:
    """Round trips in order of entry; arrays are (K,). Prices and money in quote currency.

    A trade still open at the last record is kept, marked at the last close, with `is_closed` False.
    """

    entry_row: IntArray  # row whose open opened the trade
    exit_row: IntArray  # row whose open closed it; the last row while open
    side: IntArray  # +1 long, -1 short
    units: FloatArray  # units entered over the life of the trade, positive
    entry_price: FloatArray  # average over the units entered
    exit_price: FloatArray  # average over the units left; what is still held counts at the last close
    profit: FloatArray  # after commission, spread, slippage and financing
    is_closed: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.entry_row.shape[0])

    @property
    def closed_profit(self) -> FloatArray:
        """Profit of the trades that have ended, (closed,)."""
        return self.profit[self.is_closed]


def extract_trades(records: StepRecord, closes: FloatArray) -> Trades:
    """Return the round trips in the records of one account.

    Args:
        records: (T,) arrays of an account that was flat before the first record.
        closes: (T,) close of each record's bar; the last one marks a trade that is still open.

    Raises:
        DataError: the account did not begin flat, or a position is not the sum of the fills up to it.
    """
    position = np.asarray(records.units, dtype=np.float64)
    fill = np.asarray(records.fill_units, dtype=np.float64)
    _refuse_inconsistent(position, fill)
    before = np.concatenate([[0.0], position[:-1]])
    opens = (np.sign(position) != np.sign(before)) & (position != 0)
    trade = np.cumsum(opens) - 1  # trade held after the fill; meaningless while flat
    entered, left = _split_fills(before, position, fill)
    return _tally(records, np.asarray(closes, dtype=np.float64), opens, trade, entered, left)


def _refuse_inconsistent(position: FloatArray, fill: FloatArray) -> None:
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


def _split_fills(before: FloatArray, after: FloatArray, fill: FloatArray) -> tuple[FloatArray, FloatArray]:
    # Signed units that enlarge (or open) a position and those that shrink (or close) one; both only when it flips.
    flips = before * after < 0
    grows = ~flips & (np.abs(after) > np.abs(before))
    entered = np.where(flips, after, np.where(grows, fill, 0.0))
    return entered, np.where(flips, -before, np.where(grows, 0.0, fill))


def _tally(
    records: StepRecord,
    closes: FloatArray,
    opens: NDArray[np.bool_],
    trade: IntArray,
    entered: FloatArray,
    left: FloatArray,
) -> Trades:
    count, last = int(opens.sum()), len(opens) - 1
    price = np.asarray(records.fill_price, dtype=np.float64)
    position = np.asarray(records.units, dtype=np.float64)
    earlier = trade - opens  # trade held before the fill
    held = np.zeros(count)
    if position[last] != 0:
        held[trade[last]] = position[last]
    bought = _sum_by(trade, entered * price, count)
    sold = held * closes[last] - _sum_by(earlier, left * price, count)
    units = _sum_by(trade, entered, count)
    entry_row = np.flatnonzero(opens)
    return Trades(
        entry_row=entry_row,
        exit_row=_exit_rows(entry_row, position),
        side=np.sign(position[entry_row]).astype(np.int64),
        units=np.abs(units),
        entry_price=bought / units,
        exit_price=sold / units,
        profit=sold - bought - _charges(records, trade, earlier, entered, left, count),
        is_closed=held == 0,
    )


def _charges(
    records: StepRecord, trade: IntArray, earlier: IntArray, entered: FloatArray, left: FloatArray, count: int
) -> FloatArray:
    # Commission is shared by units where a fill flips the position; financing falls on whoever is held over the bar.
    commission = np.asarray(records.commission, dtype=np.float64)
    traded = np.abs(entered) + np.abs(left)
    share = np.divide(np.abs(entered), traded, out=np.zeros_like(traded), where=traded > 0)
    owner = np.where(np.asarray(records.units) != 0, trade, earlier)
    return (
        _sum_by(trade, commission * share, count)
        + _sum_by(earlier, commission * (1.0 - share), count)
        + _sum_by(owner, np.asarray(records.financing, dtype=np.float64), count)
    )


def _sum_by(trade: IntArray, values: FloatArray, count: int) -> FloatArray:
    # Sum of values per trade; rows before the first trade carry index -1 and belong to none.
    totals = np.zeros(count + 1)
    np.add.at(totals, trade + 1, values)
    return totals[1:]


def _exit_rows(entry_row: IntArray, position: FloatArray) -> IntArray:
    # The first row after entry at which the position is zero or of the other sign.
    sign = np.sign(position)
    changes = np.flatnonzero(np.diff(sign) != 0) + 1
    following = np.searchsorted(changes, entry_row, side="right")
    rows = np.append(changes, len(position) - 1)
    return rows[following].astype(np.int64)
