"""Exits: positions that are closed at a close because of what they have lost or won since they were opened.

An exit holds for some bars, or until whoever decides changes its mind: before that, a target in the same direction is
not followed unless it was flat, or in the other direction, once. So an exit is not undone at the next bar. Having no
opinion (a confidence of 0) changes no mind. A target in the other direction closes a position, too, and always passes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from src.execution.ledger import Accounts
from src.market.bars import FloatArray
from src.market.panel import BoolArray
from src.risk.stations.station import Review, ReviewContext


class _Exit:
    # What exits have in common; remembers in which direction each symbol may not be held, (N, S), 0 for none, and for
    # how many bars more.
    name: str

    def __init__(self, reason: str, bars: int) -> None:
        self._reason, self._bars = reason, bars
        self._barred: Any = 0.0
        self._left: Any = 0.0

    def _is_due(self, accounts: Accounts, side: FloatArray) -> BoolArray:
        raise NotImplementedError

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return flat where a position is to be closed, or was and is still wanted."""
        side = np.sign(context.accounts.units)
        due = self._is_due(context.accounts, side) & (side != 0)
        barred, left = np.where(due, side, self._barred), np.where(due, float(self._bars), self._left)
        is_barred = (left > 0) & (np.sign(target) == barred)
        lasts = is_barred | ((left > 0) & (context.confidence == 0))
        self._barred, self._left = np.where(lasts, barred, 0.0), np.where(lasts, left - 1.0, 0.0)
        return Review(np.where(is_barred, 0.0, target), self._reason)

    def state_dict(self) -> dict[str, Any]:
        """Return the directions that are barred and for how many bars more, (N, S)."""
        return {"barred": self._barred, "left": self._left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._barred, self._left = state["barred"], state["left"]


class StopLoss(_Exit):
    """Closes what has lost a fraction of what it cost, and keeps it closed for some bars."""

    name = "stop-loss"

    def __init__(self, stop_loss_frac: float, bars: int) -> None:
        super().__init__(f"stop_loss_frac={stop_loss_frac:g} of what the position cost is lost", bars)
        self._frac = stop_loss_frac

    def _is_due(self, accounts: Accounts, side: FloatArray) -> BoolArray:
        return _profit_frac(accounts) <= -self._frac


class TakeProfit(_Exit):
    """Closes what has won a fraction of what it cost, and keeps it closed for some bars."""

    name = "take-profit"

    def __init__(self, take_profit_frac: float, bars: int) -> None:
        super().__init__(f"take_profit_frac={take_profit_frac:g} of what the position cost is won", bars)
        self._frac = take_profit_frac

    def _is_due(self, accounts: Accounts, side: FloatArray) -> BoolArray:
        return _profit_frac(accounts) >= self._frac


class TrailingStop(_Exit):
    """Closes what has fallen, or risen if short, by a fraction from the best close since it was opened."""

    name = "trailing stop"

    def __init__(self, trailing_stop_frac: float, bars: int) -> None:
        super().__init__(f"trailing_stop_frac={trailing_stop_frac:g} below the best close of the position", bars)
        self._frac = trailing_stop_frac
        self._side: Any = 0.0
        self._best: Any = 1.0

    def _is_due(self, accounts: Accounts, side: FloatArray) -> BoolArray:
        close = accounts.last_close
        better = np.where(side > 0, np.maximum(self._best, close), np.minimum(self._best, close))
        self._best = np.where(side == self._side, better, close)
        self._side = side
        return np.asarray(side * (close / self._best - 1) <= -self._frac)

    def state_dict(self) -> dict[str, Any]:
        """Return barred directions, sides and best closes, (N, S)."""
        return super().state_dict() | {"side": self._side, "best": self._best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        super().load_state_dict(state)
        self._side, self._best = state["side"], state["best"]


def _profit_frac(accounts: Accounts) -> FloatArray:
    # Of the entry value, (N, S); 0 when flat.
    cost = np.abs(accounts.entry_value)
    return np.asarray((accounts.units * accounts.last_close - accounts.entry_value) / np.where(cost > 0, cost, np.inf))
