"""`require_sound`: refuses a plugged-in reward that is no number, or another one for one account than for many."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from src.config.trading import ACCOUNT_INPUTS, ActionConfig, CostsConfig, RewardConfig, RiskConfig
from src.errors import ConfigError
from src.execution.ledger import Accounts
from src.execution.tape import Tape
from src.execution.tracing import Trace
from src.trading.rules import TradingRules

_RULES = TradingRules(ActionConfig(), RewardConfig(), CostsConfig(), RiskConfig(), ACCOUNT_INPUTS, 1000.0, 0.01)
_EQUITY = np.array([1500.0, 1001.0, 1000.0, 980.0, 10.0, 0.0, -300.0])  # after a bar, of accounts that had 1000 before
_PLACES = range(len(_EQUITY))
_TARGET = np.array([1.0, 0.5, 0.0, -1.0, 1.0, 1.0, -1.0])  # over that bar
_REMEDY = "use + - * / and where, minimum, maximum, abs, sqrt, log, logical_not of xp, and do not branch on numbers"


@cache
def require_sound(name: str, formula: Callable[..., Any]) -> None:
    """Compute a reward of example accounts as arrays and one by one, compiled.

    Raises:
        ConfigError: it cannot be computed, is not one finite number for each account, or the two differ in any bit.
    """
    parts = (_accounts(np.full(len(_EQUITY), 1000.0)), _accounts(_EQUITY), (_TARGET,), _bar())
    try:
        with np.errstate(all="ignore"):
            many = np.asarray(formula(np, parts[0], parts[1], _TARGET, parts[3], _RULES), dtype=np.float64)
            compiled = _compiled(formula)
            lone = [compiled(*[[column.item(place) for column in part] for part in parts])[0] for place in _PLACES]
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(f"reward '{name}' cannot be computed ({what}); {_REMEDY}") from error
    if many.shape != _EQUITY.shape:
        raise ConfigError(f"reward '{name}' has shape {many.shape} for accounts of shape {_EQUITY.shape}; {_REMEDY}")
    for equity, value, alone in zip(_EQUITY.tolist(), many.tolist(), lone, strict=True):
        if not math.isfinite(value):
            raise ConfigError(f"reward '{name}' is {value} where 1000 became {equity:g}; bound it, as log_growth is")
        if value != alone:
            raise ConfigError(
                f"reward '{name}' is {value!r} where 1000 became {equity:g}, and {alone!r} for one account by itself; "
                f"{_REMEDY}"
            )


def _compiled(formula: Callable[..., Any]) -> Callable[..., Any]:
    trace = Trace()

    def inputs(kind: Callable[..., Any], name: str, count: int) -> Any:
        return kind(*[trace.apply(f"{name}[{place}]") for place in range(count)])

    before, after = (inputs(Accounts, name, len(Accounts._fields)) for name in ("before", "after"))
    bar, target = inputs(Tape, "bar", len(Tape._fields)), trace.apply("target[0]")
    return trace.compile("before, after, target, bar", trace.pack(formula(trace, before, after, target, bar, _RULES)))


def _accounts(equity: Any) -> Accounts:
    # Long for half of what they had, at a price of 100, after a drawdown.
    ones = np.ones(len(equity))
    return Accounts(
        cash=equity - 500.0 * ones,
        units=5.0 * ones,
        equity=equity,
        peak_equity=np.maximum(equity, 1200.0),
        target=0.5 * ones,
        entry_value=490.0 * ones,
        bars_in_trade=3.0 * ones,
        last_close=100.0 * ones,
        ruined=equity <= 0,
        day_equity=1000.0 * ones,
        halt=0.0 * ones,
    )


def _bar() -> Tape:
    columns = (100.0, 102.0, 98.0, 101.0, 1e-4, 1e-4, 0.0, 1 / 365, 0.01, 0.0)
    return Tape(*[np.full(len(_EQUITY), column) for column in columns])
