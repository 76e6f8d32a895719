"""The risk guard: rules that the session applies in every mode, training included; the last word before sizing.

Covered: a cap on exposure; a drawdown breaker that closes the account's position for good; a daily loss limit that
keeps it flat until the UTC day is over. Not covered: limits across accounts, and losses within a bar (the margin call).
By default all rules are off and targets pass bit-unchanged. The guard only ever brings a target closer to flat.
(...) is the shape of the accounts.
"""

from types import ModuleType
from typing import Any

from src.config.trading import RiskConfig
from src.execution.assets import each
from src.execution.ledger import Accounts

# Values of `Accounts.halt`; the larger one wins.
FREE = 0.0
UNTIL_NEXT_DAY = 1.0
FOR_GOOD = 2.0


def has_rules(risk: RiskConfig) -> bool:
    """Return whether any rule is on; where none is, neither `watch` nor `guard` changes anything."""
    rules = (risk.max_exposure, risk.max_daily_loss_frac, risk.max_drawdown_frac)
    return any(rule is not None for rule in rules)


def watch(xp: ModuleType, risk: RiskConfig, prior_equity: Any, accounts: Accounts, new_day: Any) -> Accounts:
    """Update what the guard remembers of accounts (...), after they are marked.

    Args:
        xp: array namespace.
        risk: which rules are on.
        prior_equity: equity at the close before, where a day that this bar begins started from.
        accounts: marked at the close of this bar.
        new_day: 1 if this bar is the first to close in its UTC day, else 0.
    """
    if risk.max_daily_loss_frac is not None:
        begins = new_day != 0
        begun = xp.where(begins, prior_equity, accounts.day_equity)
        released = xp.where(begins & (accounts.halt == UNTIL_NEXT_DAY), FREE, accounts.halt)
        accounts = accounts._replace(day_equity=begun, halt=released)
        accounts = _halt(xp, accounts, daily_loss_reached(accounts, risk.max_daily_loss_frac), UNTIL_NEXT_DAY)
    if risk.max_drawdown_frac is not None:
        accounts = _halt(xp, accounts, drawdown_reached(accounts, risk.max_drawdown_frac), FOR_GOOD)
    return accounts


def guard(xp: ModuleType, risk: RiskConfig, accounts: Accounts, target: Any) -> Any:
    """Return the targets (...) that the rules allow."""
    if risk.max_exposure is not None:
        target = clip_exposure(xp, target, risk.max_exposure)
    if risk.max_daily_loss_frac is not None or risk.max_drawdown_frac is not None:
        target = xp.where(each(xp, accounts.halt) == FREE, target, 0.0)
    return target


def _halt(xp: ModuleType, accounts: Accounts, reached: Any, until: float) -> Accounts:
    return accounts._replace(halt=xp.where(reached & (accounts.halt < until), until, accounts.halt))


def clip_exposure(xp: ModuleType, target: Any, max_exposure: float) -> Any:
    """Return the targets (...) within ±max_exposure."""
    return xp.maximum(xp.minimum(target, max_exposure), -max_exposure)


def drawdown_reached(accounts: Accounts, max_drawdown_frac: float) -> Any:
    """Return where equity at the close is that fraction or more below its peak, bool (...)."""
    return accounts.equity <= accounts.peak_equity * (1.0 - max_drawdown_frac)


def daily_loss_reached(accounts: Accounts, max_daily_loss_frac: float) -> Any:
    """Return where equity at the close is that fraction or more below where the UTC day began, bool (...)."""
    return accounts.equity <= accounts.day_equity * (1.0 - max_daily_loss_frac)
