"""`TradingRules`: everything that decides how a target exposure becomes equity and reward.

Training, backtest, paper and live receive the same object; it travels inside the model file as plain data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from src.config.plain import from_plain, to_plain
from src.config.risk import RiskLimits
from src.config.trading import ActionConfig, CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.errors import ConfigError
from src.plugins import plugged_in
from src.risk.protective_stop import stop_loss_frac

_SECTIONS = ("action", "reward", "costs", "risk")


@dataclass(frozen=True)
class TradingRules:
    """Actions, costs, risk and reward of a run.

    Attributes:
        bar_volatility: standard deviation of the training split's close-to-close log-returns. It makes rewards and
            account inputs comparable between markets.
        plugins: the module that holds the reward, where it is plugged in.
        stop_loss_frac: loss at which protective stops act, as a fraction of equity (`risk.protective_stop`); None for
            none. A way to look at a run, and no part of a model file.
    """

    action: ActionConfig
    reward: RewardConfig
    costs: CostsConfig
    risk: RiskConfig
    account_inputs: tuple[str, ...]
    initial_equity: float
    bar_volatility: float
    plugins: tuple[str, ...] = ()
    stop_loss_frac: float | None = None

    def __post_init__(self) -> None:
        if not self.bar_volatility > 0:
            raise ConfigError(
                f"bar_volatility must be > 0, was {self.bar_volatility}; do the training prices move at all?"
            )

    @property
    def reward_scale(self) -> float:
        """Factor on every reward; one over the bar volatility unless set."""
        return self.reward.scale if self.reward.scale is not None else 1.0 / self.bar_volatility

    def under(self, limits: RiskLimits) -> "TradingRules":
        """Return the rules with the stricter of their own risk rules and these limits."""

        def stricter(name: str, limit: float | None) -> float | None:
            return min((value for value in (getattr(self.risk, name), limit) if value is not None), default=None)

        risk = replace(
            self.risk,
            max_exposure=stricter("max_exposure", limits.max_leverage or None),
            max_drawdown_frac=stricter("max_drawdown_frac", limits.max_drawdown_frac),
            max_daily_loss_frac=stricter("max_daily_loss_frac", limits.max_daily_loss_frac),
        )
        return replace(self, risk=risk)

    def with_protective_stop(self, multiple: float) -> "TradingRules":
        """Return the rules with protective stops at a multiple of the wider loss limit.

        Raises:
            ConfigError: no loss limit is on.
        """
        loss_frac = stop_loss_frac(self.risk, multiple)
        if loss_frac is None:
            raise ConfigError(
                "a protective stop lies at a multiple of a loss limit, and there is none; name a file with "
                "max_drawdown_frac or max_daily_loss_frac, and protective_stop, with --risk, such as config/risk.yaml"
            )
        return replace(self, stop_loss_frac=loss_frac)

    def to_plain(self) -> dict[str, Any]:
        """Return numbers, strings, lists and dicts only."""
        sections = {name: to_plain(getattr(self, name)) for name in _SECTIONS}
        return sections | {
            "account_inputs": list(self.account_inputs),
            "initial_equity": self.initial_equity,
            "bar_volatility": self.bar_volatility,
            "plugins": list(self.plugins),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TradingRules":
        """Rebuild from `to_plain`."""
        return cls(
            action=from_plain(ActionConfig, plain["action"]),
            reward=from_plain(RewardConfig, plain["reward"]),
            costs=from_plain(CostsConfig, plain["costs"]),
            risk=from_plain(RiskConfig, plain["risk"]),
            account_inputs=tuple(plain["account_inputs"]),
            initial_equity=float(plain["initial_equity"]),
            bar_volatility=float(plain["bar_volatility"]),
            plugins=tuple(plain["plugins"]),
        )


def make_rules(
    environment: EnvironmentConfig,
    costs: CostsConfig,
    risk: RiskConfig,
    bar_volatility: float,
    plugins: Iterable[str] = (),
) -> TradingRules:
    """Gather the rules of a run from its settings; of the plug-ins, they keep the one that holds the reward.

    Raises:
        ConfigError: a plug-in cannot be used.
    """
    holder = plugged_in("reward", plugins).get(environment.reward.kind)
    return TradingRules(
        action=environment.action,
        reward=environment.reward,
        costs=costs,
        risk=risk,
        account_inputs=tuple(environment.account_inputs),
        initial_equity=environment.initial_equity,
        bar_volatility=bar_volatility,
        plugins=() if holder is None else (holder,),
    )
