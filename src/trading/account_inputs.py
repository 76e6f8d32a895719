"""What a policy sees of its own account: bounded in [-1, 1], free of scale, equal for every market.

Only operations that every backend rounds alike are used (x / (1 + |x|), not tanh), so NumPy, torch and plain floats
agree bit for bit. (...) is the shape of the accounts.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from src.execution.assets import AssetAxis, each
from src.execution.ledger import Accounts
from src.trading.rules import TradingRules

TRADE_RETURN_SCALE_BARS = 8.0  # in bar volatilities: a trade return of that size reads 1/2
TRADE_LENGTH_BARS = 32.0  # a trade of that many bars reads 1/2
TINY = 1e-300  # divides zero to zero


def exposure(xp: ModuleType, accounts: Accounts, rules: TradingRules) -> Any:
    """Return the target in force over the largest allowed, (...)."""
    return accounts.target / rules.action.max_leverage


def trade_return(xp: ModuleType, accounts: Accounts, rules: TradingRules) -> Any:
    """Return softsign(r / (8 bar volatilities)), (...), r the return of the open trade on its entry value; 0 when flat.

    With profit p and entry value v, r = p / |v|, so the softsign is p / (8σ|v| + |p|).
    """
    profit = accounts.units * accounts.last_close - accounts.entry_value
    yardstick = xp.abs(accounts.entry_value) * (TRADE_RETURN_SCALE_BARS * rules.bar_volatility)
    return profit / xp.maximum(yardstick + xp.abs(profit), TINY)


def drawdown(xp: ModuleType, accounts: Accounts, rules: TradingRules) -> Any:
    """Return the fraction of peak equity lost, (...), at most 1."""
    return each(xp, xp.minimum(1.0 - accounts.equity / accounts.peak_equity, 1.0))


def bars_in_trade(xp: ModuleType, accounts: Accounts, rules: TradingRules) -> Any:
    """Return b / (b + 32), (...), for a trade of b bars."""
    return accounts.bars_in_trade / (accounts.bars_in_trade + TRADE_LENGTH_BARS)


COLUMNS: dict[str, Callable[[ModuleType, Accounts, TradingRules], Any]] = {
    "exposure": exposure,
    "trade_return": trade_return,
    "drawdown": drawdown,
    "bars_in_trade": bars_in_trade,
}


def account_inputs(xp: ModuleType, accounts: Accounts, rules: TradingRules) -> Any:
    """Return the columns named by the rules, in that order, float32 (..., C); (..., S, C) of accounts of S assets."""
    columns = [COLUMNS[name](xp, accounts, rules) for name in rules.account_inputs]
    if type(xp) is AssetAxis:  # what belongs to the account is told beside each of its assets
        columns = [column + xp.zeros_like(accounts.units) for column in columns]
    return xp.astype(xp.stack(columns, axis=-1), xp.float32)
