"""`TradingRules`: everything that decides how a target exposure becomes equity and reward.

Training, backtest, paper and live receive the same object; it travels inside the model file as plain data.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from src.config.schema import (
    ActionConfig,
    ActionKind,
    CostsConfig,
    EnvironmentConfig,
    RewardConfig,
    RewardKind,
    RiskConfig,
)
from src.errors import ConfigError


@dataclass(frozen=True)
class TradingRules:
    """Actions, costs, risk and reward of a run.

    Attributes:
        bar_volatility: standard deviation of the training split's close-to-close log-returns. It makes rewards and
            account inputs comparable between markets.
    """

    action: ActionConfig
    reward: RewardConfig
    costs: CostsConfig
    risk: RiskConfig
    account_inputs: tuple[str, ...]
    initial_equity: float
    bar_volatility: float

    def __post_init__(self) -> None:
        if not self.bar_volatility > 0:
            raise ConfigError(
                f"bar_volatility must be > 0, was {self.bar_volatility}; do the training prices move at all?"
            )

    @property
    def reward_scale(self) -> float:
        """Factor on every reward; one over the bar volatility unless set."""
        return self.reward.scale if self.reward.scale is not None else 1.0 / self.bar_volatility

    def to_plain(self) -> dict[str, Any]:
        """Return numbers, strings, lists and dicts only."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "TradingRules":
        """Rebuild from `to_plain`."""
        action = dict(plain["action"])
        reward = dict(plain["reward"])
        return cls(
            action=ActionConfig(**{**action, "kind": ActionKind(action["kind"])}),
            reward=RewardConfig(**{**reward, "kind": RewardKind(reward["kind"])}),
            costs=CostsConfig(**plain["costs"]),
            risk=RiskConfig(**plain["risk"]),
            account_inputs=tuple(plain["account_inputs"]),
            initial_equity=float(plain["initial_equity"]),
            bar_volatility=float(plain["bar_volatility"]),
        )


def make_rules(
    environment: EnvironmentConfig, costs: CostsConfig, risk: RiskConfig, bar_volatility: float
) -> TradingRules:
    """Gather the rules of a run from its settings."""
    return TradingRules(
        action=environment.action,
        reward=environment.reward,
        costs=costs,
        risk=risk,
        account_inputs=tuple(environment.account_inputs),
        initial_equity=environment.initial_equity,
        bar_volatility=bar_volatility,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
