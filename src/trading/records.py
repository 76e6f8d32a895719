"""The values the bar loop speaks: what an agent sees, what it wants, and what happened.

Arrays carry a leading account axis (N,); one account is N = 1.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.risk.stations.chain import Change


class MarketState(NamedTuple):
    """What an agent may know when bar `row` has closed."""

    row: int  # row of the closed bar in the series the agent was prepared with
    close_time: int  # UTC milliseconds
    account: NDArray[np.float32]  # (N, C) bounded, scale-free account inputs


class Decision(NamedTuple):
    """What an agent wants: target exposure as a fraction of equity, and how sure it is in [0, 1].

    Shapes are (N,); (N, S) of a member over S symbols.
    """

    target: NDArray[np.float64]
    confidence: NDArray[np.float64]
    restore: NDArray[np.bool_] | None = None  # of a member: where an unchanged target is traded back to


class StepRecord(NamedTuple):
    """One bar of one or many accounts, as written to `steps.parquet`. Money is in quote currency.

    The order decided at the bar before fills at this bar's open; `target` is the decision taken at its close, after the
    guard. A margin call closes out whatever is held then: at the open, which cancels the order, or later in the bar. An
    account is called once at most. A protective stop closes a position later in the bar, too, and the account goes on.
    `trading.fills` lists orders, calls and stops one by one.
    """

    close_time: Any  # int64, UTC milliseconds
    target: Any  # exposure decided at this close
    units: Any  # held at this close
    fill_units: Any  # signed units of the order that filled at this open
    fill_price: Any  # execution price, spread and slippage included; 0 where nothing filled
    commission: Any  # of the bar: order and margin call; so are spread and slippage
    spread: Any
    slippage: Any
    financing: Any  # borrow and margin interest over the bar
    equity: Any  # cash + units * close
    reward: Any
    terminated: Any  # margin call or ruin at this bar
    call_units: Any  # signed units that a margin call, or a protective stop, closed out in this bar
    call_price: Any  # execution price, as for the order
    call_commission: Any  # its part of the bar's commission
    call_spread: Any
    call_slippage: Any


CALL_FIELDS = tuple(name for name in StepRecord._fields if name.startswith("call_"))


class Reviews(NamedTuple):
    """What an agent wanted at each of T bars of one account, and what stations made of it."""

    wanted: NDArray[np.float64]  # (T,) target exposures of the agent
    changes: tuple[tuple[Change, ...], ...]  # T, each empty where no station changed anything
