"""What one bar is worth: growth of equity, or exposure times return, less optional risk terms, times a scale."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from src.config.base import require_known
from src.execution.assets import total
from src.execution.costs import BPS
from src.execution.ledger import Accounts
from src.execution.tape import Tape
from src.plugins import Pluggable, with_plugins
from src.trading.reward_check import require_sound
from src.trading.rules import TradingRules

# A bar that takes more than 99 % of equity counts as one that takes 99 %: growth never falls below log(0.01) = -4.6.
GROWTH_FLOOR = 0.01


def log_growth(xp: ModuleType, prior_equity: Any, equity: Any) -> Any:
    """Return log(equity / prior_equity), (...), at least log(GROWTH_FLOOR); prior equity must be positive."""
    return xp.log(xp.maximum(equity / prior_equity, GROWTH_FLOOR))


def linear(xp: ModuleType, prior_target: Any, target: Any, log_return: Any, cost_frac: Any) -> Any:
    """Return target * log_return - cost_frac * |target - prior_target|, (...)."""
    return target * log_return - cost_frac * xp.abs(target - prior_target)


Formula = Callable[[ModuleType, Accounts, Accounts, Any, Tape, TradingRules], Any]


@dataclass(frozen=True)
class RewardFormula(Pluggable):
    """What a bar was worth to accounts, before penalties and scale, by name.

    Attributes:
        formula: function of (xp, before, after, target, bar, rules) that returns rewards in the shape of the accounts:
            `xp` is their array namespace, `before` and `after` are the accounts at the closes before and of the bar,
            `target` the exposures in force over it, `bar` its prices, costs and log-return. The same lines serve arrays
            of accounts, and one account of symbols that is compiled: they take their functions from `xp` (where,
            minimum, maximum, abs, sqrt, log, logical_not) and do not branch on numbers. Equity may be 0 or below.
    """

    kind: ClassVar[str] = "reward"

    formula: Formula


def growth_of_equity(
    xp: ModuleType, before: Accounts, after: Accounts, target: Any, bar: Tape, rules: TradingRules
) -> Any:
    """Return the log growth of equity, (...); a `Formula`."""
    return log_growth(xp, before.equity, after.equity)


def exposure_times_return(
    xp: ModuleType, before: Accounts, after: Accounts, target: Any, bar: Tape, rules: TradingRules
) -> Any:
    """Return the linear reward at the costs of the bar, (...); a `Formula`."""
    cost_frac = rules.costs.commission_bps * BPS + bar.half_spread + bar.slippage
    return total(xp, linear(xp, before.target, target, bar.log_return, cost_frac))


_OWN = (RewardFormula("log_growth", growth_of_equity), RewardFormula("linear", exposure_times_return))
REWARDS: Mapping[str, RewardFormula] = {reward.name: reward for reward in _OWN}


def known_rewards(plugins: Iterable[str]) -> Mapping[str, RewardFormula]:
    """Return the rewards there are, by name: the project's and those that plug-ins hold.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    return with_plugins(REWARDS, RewardFormula, plugins)


class Reward:
    """Reward of a bar under the rules of a run.

    With r what the formula of the rules returns, d the drawdown as a fraction of peak equity, and λ the penalties:

        scale * (r - λ_variance / 2 * r² - λ_drawdown * max(0, d - d_prior))

    Raises:
        ConfigError: no formula goes by the name in the rules, or it is plugged in and cannot be used.
    """

    def __init__(self, rules: TradingRules, xp: ModuleType) -> None:
        self._formula = _formula_of(rules)
        self._xp, self._rules = xp, rules
        self._config = rules.reward
        self._scale = rules.reward_scale

    def __call__(self, before: Accounts, after: Accounts, target: Any, bar: Tape) -> Any:
        """Return the reward of `bar`, over which accounts went from `before` to `after` with `target` in force."""
        value = self._formula(self._xp, before, after, target, bar, self._rules)
        if self._config.variance_penalty > 0:
            value = value - (0.5 * self._config.variance_penalty) * value * value
        if self._config.drawdown_penalty > 0:
            deeper = before.equity / before.peak_equity - after.equity / after.peak_equity
            value = value - self._config.drawdown_penalty * self._xp.maximum(deeper, 0.0)
        return value * self._scale


def _formula_of(rules: TradingRules) -> Formula:
    name, known = rules.reward.kind, known_rewards(rules.plugins)
    require_known("environment.reward.kind", [name], known)
    if name not in REWARDS:  # the project's own are tested
        require_sound(name, known[name].formula)
    return known[name].formula
