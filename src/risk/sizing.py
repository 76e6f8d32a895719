"""Sizing: from a target exposure to the signed units to trade."""

from types import ModuleType
from typing import Any

from src.execution.assets import each
from src.execution.ledger import Accounts


def order_units(xp: ModuleType, accounts: Accounts, target: Any, rebalance_band: float | None) -> Any:
    """Return the units (...) that bring each account to its target at the last close; 0 where nothing is to be done.

    An order is placed where the target differs from the one in force, and, if there is a band, where prices have
    carried the actual exposure further than that from its target.
    """
    equity = each(xp, accounts.equity)
    target_value = target * equity
    units = target_value / accounts.last_close - accounts.units
    due = target != accounts.target
    if rebalance_band is not None:
        drift = xp.abs(accounts.units * accounts.last_close - target_value)
        due = due | (drift > rebalance_band * equity)
    return xp.where(due, units, 0.0)
