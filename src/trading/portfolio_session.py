"""`PortfolioSession`: a `Session` of accounts that hold several symbols, which may have no bar and may be delisted.

An order for a symbol without a bar lapses; its target stays what it was. What is held of a symbol that was delisted is
closed before the next bar's orders, without costs: long positions at the last close less a haircut, short ones at the
last close, since that the haircut would have been theirs is no more certain than that it is their creditors'.
"""

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from src.execution.assets import AssetAxis
from src.execution.ledger import Accounts, book
from src.execution.orders import Fills, Orders
from src.risk.sizing import order_units
from src.trading.rewards import GROWTH_FLOOR
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, Session

# What Shumway (1997) found for shares that the New York exchange delisted because of performance.
DELISTING_HAIRCUT_FRAC = 0.3


class PortfolioSession(Session):
    """Accounts (...) of S symbols, carried from bar to bar; bars are those of a `PanelTape`.

    Targets and what happens to holdings are (..., S).

    Args:
        rules: as for `Session`.
        xp: NumPy, or `array_api_compat.torch`.
        delisting_haircut_frac: part of the last close that holders of a delisted symbol lose.
    """

    def __init__(
        self, rules: TradingRules, xp: ModuleType = np, delisting_haircut_frac: float = DELISTING_HAIRCUT_FRAC
    ) -> None:
        super().__init__(rules, AssetAxis(xp))
        self._kept_frac = 1.0 - delisting_haircut_frac
        self._gone: _Gone | None = None  # of the bar that is processed

    def decide(self, target: Any, hold: Any = None, restore: Any = None) -> Any:
        """Take the target exposures (..., S) of this close; return those in force after the guard.

        Args:
            target, hold: as for `Session`.
            restore: where an order restores a target that prices have moved away from, though it is unchanged.
        """
        target = super().decide(target, hold)
        if restore is not None:
            exact = order_units(self._xp, self.accounts, target, 0.0)
            wanted = restore if hold is None else restore & self._xp.logical_not(hold)
            self.pending = Orders(self._xp.where(wanted, exact, self.pending.units), self.pending.target)
        return target

    def advance(self, bar: Any) -> BarOutcome:
        """Process one bar of a `PanelTape`; what a delisting closed stands with what a margin call closed.

        Raises:
            TradingHalted: as for `Session`.
        """
        self._gone = self._close_delisted(bar)
        self.pending = self._without_lapsed(bar)
        outcome = super().advance(bar)
        if self._gone is None:
            return outcome
        names = {"call_units": "units", "call_price": "price"}
        names |= {f"call_{cost}": cost for cost in ("commission", "spread", "slippage")}
        fills = self._gone.fills
        return outcome._replace(
            **{name: getattr(outcome, name) + getattr(fills, filled) for name, filled in names.items()}
        )

    def _close_delisted(self, bar: Any) -> "_Gone | None":
        xp, accounts = self._xp, self.accounts
        closed = bar.is_delisted & (accounts.units != 0)
        if not xp.any(closed):
            return None
        price = xp.where(accounts.units > 0, accounts.last_close * self._kept_frac, accounts.last_close)
        units = xp.where(closed, -accounts.units, 0.0)
        fills = Fills(units, xp.where(closed, price, 0.0), units * price, *[self._nothing] * 3)
        self.accounts = book(xp, accounts, fills, xp.where(closed, 0.0, accounts.target))
        of_long = self._nothing + math.log(max(self._kept_frac, GROWTH_FLOOR))
        lost = xp.where(accounts.units > 0, of_long, self._nothing)
        return _Gone(closed, fills, accounts.target, lost)

    def _rewarded(self, before: Accounts, after: Accounts, target: Any, bar: Any) -> Any:
        # What was delisted had its exposure until then, and the loss is its return; closing it is no trade.
        gone, where = self._gone, self._xp.where
        if gone is not None:
            before = before._replace(target=where(gone.closed, gone.target, before.target))
            target = where(gone.closed, gone.target, target)
            bar = bar._replace(log_return=where(gone.closed, gone.log_return, bar.log_return))
        return super()._rewarded(before, after, target, bar)

    def _without_lapsed(self, bar: Any) -> Orders:
        where, pending = self._xp.where, self.pending
        return Orders(where(bar.has_bar, pending.units, 0.0), where(bar.has_bar, pending.target, self.accounts.target))


class _Gone(NamedTuple):
    # What a delisting closed, (..., S): where, how, the exposures in force before, and what they lost.
    closed: Any
    fills: Fills
    target: Any
    log_return: Any
