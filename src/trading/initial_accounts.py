"""Randomised start states for training, so that a long backtest shows the policy no account it has not met."""

from typing import Any

import numpy as np

from src.config.trading import ActionConfig, ActionKind
from src.execution.ledger import Accounts, open_accounts
from src.market.bars import FloatArray
from src.trading.rules import TradingRules

DRAWS_PER_ACCOUNT = 3
MAX_TRADE_BARS = 512
MAX_DRAWDOWN_FRAC = 0.6


def random_accounts(
    rng: np.random.Generator, rules: TradingRules, close: FloatArray, rows: Any, history: Any = None
) -> Accounts:
    """Draw accounts marked at the close of `rows`, each as a past trade would have left it.

    The target is uniform over the grid (or the continuous range). The open trade began k bars ago at that bar's close,
    log k uniform up to `MAX_TRADE_BARS` or the history there is, and holds target * equity / close units today. The
    account is worth `rules.initial_equity`, once was worth more (drawdowns up to `MAX_DRAWDOWN_FRAC`, small ones more
    often), and at least what it was worth when the trade began.

    Args:
        rng: consumes `DRAWS_PER_ACCOUNT` uniforms per account, account after account, so that N accounts at once equal
            N calls for one.
        rules: actions and initial equity.
        close: (T,) closes of the series.
        rows: integers >= 0 of any shape, the accounts' shape.
        history: closes of the same series before each row, where `close` holds several series; all unless given.
    """
    draws = rng.random((*np.shape(rows), DRAWS_PER_ACCOUNT))
    return drawn_accounts(draws, rules, close, rows, history)


def drawn_accounts(
    draws: FloatArray, rules: TradingRules, close: FloatArray, rows: Any, history: Any = None
) -> Accounts:
    """Return the accounts of `random_accounts` for uniforms the caller has drawn, (..., 3)."""
    rows = np.asarray(rows)
    past = rows if history is None else history
    target = _targets(rules.action, draws[..., 0])
    is_open = target != 0
    trade_bars = np.minimum(np.floor(np.exp(draws[..., 1] * np.log(MAX_TRADE_BARS + 1))), past) * is_open
    price, entry = close[rows], close[rows - trade_bars.astype(np.int64)]
    flat = open_accounts(np, rows.shape, rules.initial_equity, price)
    units = target * flat.equity / price
    equity_at_entry = flat.equity - units * (price - entry)
    return flat._replace(
        cash=flat.equity - units * price,
        units=units,
        peak_equity=np.maximum(flat.equity / (1.0 - MAX_DRAWDOWN_FRAC * draws[..., 2] ** 2), equity_at_entry),
        target=target,
        entry_value=units * entry,
        bars_in_trade=trade_bars,
    )


def _targets(action: ActionConfig, uniform: FloatArray) -> FloatArray:
    if action.kind is ActionKind.discrete:
        grid = np.array(action.targets)
        return np.asarray(grid[(uniform * len(grid)).astype(np.int64)])
    low, high = action.bounds
    return low + uniform * (high - low)
