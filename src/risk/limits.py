"""Single risk rules as array functions; each says what it forbids and nothing else. `guard.py` puts them together."""

from types import ModuleType
from typing import Any

from src.execution.ledger import Accounts


def clip_exposure(xp: ModuleType, target: Any, max_exposure: float) -> Any:
    """Return the targets within ±max_exposure."""
    return xp.maximum(xp.minimum(target, max_exposure), -max_exposure)


def drawdown_reached(accounts: Accounts, max_drawdown_frac: float) -> Any:
    """Say whether equity at the close is that fraction or more below its peak."""
    return accounts.equity <= accounts.peak_equity * (1.0 - max_drawdown_frac)


def daily_loss_reached(accounts: Accounts, max_daily_loss_frac: float) -> Any:
    """Say whether equity at the close is that fraction or more below where the UTC day began."""
    return accounts.equity <= accounts.day_equity * (1.0 - max_daily_loss_frac)
