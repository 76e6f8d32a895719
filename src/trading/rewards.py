"""What one bar is worth: growth of equity, or exposure times return, less optional risk terms, times a scale."""

from types import ModuleType
from typing import Any

from src.config.trading import RewardKind
from src.execution.costs import BPS
from src.execution.ledger import Accounts
from src.execution.tape import Tape
from src.trading.rules import TradingRules

# A bar that takes more than 99 % of equity counts as one that takes 99 %: growth never falls below log(0.01) = -4.6.
GROWTH_FLOOR = 0.01


def log_growth(xp: ModuleType, prior_equity: Any, equity: Any) -> Any:
    """Return log(equity / prior_equity), (...), at least log(GROWTH_FLOOR); prior equity must be positive."""
    return xp.log(xp.maximum(equity / prior_equity, GROWTH_FLOOR))


def linear(xp: ModuleType, prior_target: Any, target: Any, log_return: Any, cost_frac: Any) -> Any:
    """Return target * log_return - cost_frac * |target - prior_target|, (...)."""
    return target * log_return - cost_frac * xp.abs(target - prior_target)


class Reward:
    """Reward of a bar under the rules of a run.

    With r the log growth or linear reward, d the drawdown as a fraction of peak equity, and λ the penalties:

        scale * (r - λ_variance / 2 * r² - λ_drawdown * max(0, d - d_prior))
    """

    def __init__(self, rules: TradingRules, xp: ModuleType) -> None:
        self._xp = xp
        self._config = rules.reward
        self._scale = rules.reward_scale
        self._commission = rules.costs.commission_bps * BPS

    def __call__(self, before: Accounts, after: Accounts, target: Any, bar: Tape) -> Any:
        """Return the reward of `bar`, over which accounts went from `before` to `after` with `target` in force."""
        value = self._base(before, after, target, bar)
        if self._config.variance_penalty > 0:
            value = value - (0.5 * self._config.variance_penalty) * value * value
        if self._config.drawdown_penalty > 0:
            deeper = before.equity / before.peak_equity - after.equity / after.peak_equity
            value = value - self._config.drawdown_penalty * self._xp.maximum(deeper, 0.0)
        return value * self._scale

    def _base(self, before: Accounts, after: Accounts, target: Any, bar: Tape) -> Any:
        if self._config.kind is RewardKind.log_growth:
            return log_growth(self._xp, before.equity, after.equity)
        cost_frac = self._commission + bar.half_spread + bar.slippage
        return linear(self._xp, before.target, target, bar.log_return, cost_frac)
