"""Where a protective stop lies: the price at which a position is sold by itself, whoever is watching.

A bot's rules act at closes, and only while it runs. The stop acts within a bar, and when nobody does. It is wider than
any rule that ends a position, so that it acts only where these could not: at the price where the position has cost a
multiple of the widest loss limit since its entry. That loss is a fraction of equity; a position of exposure w loses it
when the price has moved by that fraction over w. One formula for the bot, which places the order, and for backtests,
which fill it; the price changes only when the position does.
"""

from types import ModuleType
from typing import Any

from src.config.trading import RiskConfig
from src.execution.ledger import Accounts

LOWEST_FRAC = 0.1  # of the entry price: no stop lies lower, however small the position
TINY = 1e-9


def stop_loss_frac(risk: RiskConfig, multiple: float | None) -> float | None:
    """Return the loss, as a fraction of equity, at which a stop acts; None without one.

    Args:
        risk: the loss limits in force.
        multiple: of the widest of them; None or 0 for no stop.
    """
    limits = [limit for limit in (risk.max_daily_loss_frac, risk.max_drawdown_frac) if limit is not None]
    return multiple * max(limits) if multiple and limits else None


def stop_prices(xp: ModuleType, accounts: Accounts, loss_frac: float) -> Any:
    """Return the price at which each position (...) is closed; it means nothing where none is held."""
    side = xp.where(accounts.units < 0, -1.0, 1.0)
    distance = loss_frac / xp.maximum(xp.abs(accounts.target), TINY)
    return accounts.entry_price * xp.maximum(1.0 - side * distance, LOWEST_FRAC)
