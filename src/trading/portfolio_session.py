"""`PortfolioSession`: a `Session` of accounts that hold several symbols, which may have no bar and may be delisted.

An order for a symbol without a bar lapses; its target stays what it was. What is held of a symbol that was delisted is
closed before the next bar's orders, without costs: long positions at the last close less a haircut, short ones at the
last close, since that the haircut would have been theirs is no more certain than that it is their creditors'.
"""

from types import ModuleType
from typing import Any

import numpy as np

from src.execution.assets import AssetAxis
from src.execution.ledger import Accounts, book
from src.execution.orders import Fills, Orders, add_fills
from src.trading.rules import TradingRules
from src.trading.session import Session


class PortfolioSession(Session):
    """Accounts (...) of S symbols, carried from bar to bar; bars are those of a `PanelTape`.

    Targets and what happens to holdings are (..., S).

    Args:
        rules: as for `Session`.
        xp: NumPy, or `array_api_compat.torch`.
        delisting_haircut_frac: part of the last close that holders of a delisted symbol lose. Shumway (1997) found 30 %
            for shares of the New York exchange that were delisted for performance.
    """

    def __init__(self, rules: TradingRules, xp: ModuleType = np, delisting_haircut_frac: float = 0.3) -> None:
        super().__init__(rules, AssetAxis(xp))
        self._kept_frac = 1.0 - delisting_haircut_frac

    def _closed_at_open(self, accounts: Accounts, bar: Any) -> tuple[Accounts, Fills | None]:
        accounts, gone = self._delisted(accounts, bar)
        accounts, called = super()._closed_at_open(accounts, bar)
        if gone is None or called is None:
            return accounts, gone if called is None else called
        return accounts, add_fills(gone, called)

    def _delisted(self, accounts: Accounts, bar: Any) -> tuple[Accounts, Fills | None]:
        xp = self._xp
        closed = bar.is_delisted & (accounts.units != 0)
        if not xp.any(closed):
            return accounts, None
        price = xp.where(accounts.units > 0, accounts.last_close * self._kept_frac, accounts.last_close)
        units = xp.where(closed, -accounts.units, 0.0)
        fills = Fills(units, xp.where(closed, price, 0.0), units * price, *[self._nothing] * 3)
        return book(xp, accounts, fills, xp.where(closed, 0.0, accounts.target)), fills

    def _orders_at_open(self, accounts: Accounts, is_any_closed: bool, bar: Any) -> Orders:
        orders, where = super()._orders_at_open(accounts, is_any_closed, bar), self._xp.where
        return Orders(
            where(bar.has_bar, orders.units, 0.0),
            where(bar.has_bar, orders.target, where(bar.is_delisted, 0.0, accounts.target)),
        )
