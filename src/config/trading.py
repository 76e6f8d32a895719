"""Settings of trading: actions, rewards, what an account shows, what trading costs, the risk guard."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated

from src.config.base import OneOf, Schema, require, require_at_least, require_between, require_known


class ActionKind(Enum):
    """Shape of the action space."""

    discrete = "discrete"
    continuous = "continuous"


REWARD_NAMES = ("log_growth", "linear")


@dataclass
class ActionConfig(Schema):
    """Target exposure as a fraction of equity."""

    kind: ActionKind = ActionKind.discrete
    grid: list[float] = field(default_factory=lambda: [-1.0, -0.5, 0.0, 0.5, 1.0])
    allow_short: bool = True
    max_leverage: float = 1.0
    rebalance_band: float | None = None

    def check(self) -> None:
        require_between("environment.action.max_leverage", self.max_leverage, 0.01, 100.0)
        require(len(self.grid) >= 2, f"environment.action.grid needs at least two targets, was {self.grid}")
        require(
            list(self.grid) == sorted(set(self.grid)),
            f"environment.action.grid must be strictly increasing, was {self.grid}",
        )
        require(0.0 in self.grid, f"environment.action.grid must hold 0 (flat), was {self.grid}")
        for target in self.grid:
            require_between("environment.action.grid", target, -self.max_leverage, self.max_leverage)
        if self.rebalance_band is not None:
            require_between("environment.action.rebalance_band", self.rebalance_band, 0.0, 10.0)

    @property
    def targets(self) -> tuple[float, ...]:
        """The grid in force: without shorting, its negative half is dropped."""
        return tuple(t for t in self.grid if self.allow_short or t >= 0.0)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest exposure an action can ask for."""
        if self.kind is ActionKind.discrete:
            return self.targets[0], self.targets[-1]
        return (-self.max_leverage if self.allow_short else 0.0), self.max_leverage


@dataclass
class RewardConfig(Schema):
    """Reward of one step. A null scale becomes 1 / (standard deviation of the training split's log-returns)."""

    kind: Annotated[str, OneOf("reward", REWARD_NAMES)] = "log_growth"
    scale: float | None = None
    drawdown_penalty: float = 0.0
    variance_penalty: float = 0.0

    def check(self) -> None:
        if self.scale is not None:
            require(self.scale > 0, f"environment.reward.scale must be > 0, was {self.scale:g}")
        require_at_least("environment.reward.drawdown_penalty", self.drawdown_penalty, 0.0)
        require_at_least("environment.reward.variance_penalty", self.variance_penalty, 0.0)


ACCOUNT_INPUTS = ("exposure", "trade_return", "drawdown", "bars_in_trade")


@dataclass
class EnvironmentConfig(Schema):
    """Episodes, actions and rewards."""

    action: ActionConfig = field(default_factory=ActionConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    initial_equity: float = 10_000.0
    episode_bars: int = 256
    random_start: bool = True
    account_inputs: list[str] = field(default_factory=lambda: list(ACCOUNT_INPUTS))

    def check(self) -> None:
        require(self.initial_equity > 0, f"environment.initial_equity must be > 0, was {self.initial_equity:g}")
        require_at_least("environment.episode_bars", self.episode_bars, 2)
        require_known("environment.account_inputs", self.account_inputs, ACCOUNT_INPUTS)
        require("exposure" in self.account_inputs, "environment.account_inputs must hold 'exposure'")


@dataclass
class CostsConfig(Schema):
    """What trading costs. Basis points of traded notional; rates per year of held notional."""

    commission_bps: float = 2.0
    half_spread_bps: float = 1.0
    slippage_bps: float = 1.0
    slippage_volatility: float = 0.0
    impact: float = 0.0
    borrow_bps_per_year: float = 50.0
    financing_bps_per_year: float = 300.0

    def check(self) -> None:
        for name in ("commission_bps", "half_spread_bps", "slippage_bps"):
            require_between(f"costs.{name}", getattr(self, name), 0.0, 5_000.0)
        for name in ("slippage_volatility", "impact"):
            require_between(f"costs.{name}", getattr(self, name), 0.0, 100.0)
        for name in ("borrow_bps_per_year", "financing_bps_per_year"):
            require_between(f"costs.{name}", getattr(self, name), 0.0, 100_000.0)


@dataclass
class RiskConfig(Schema):
    """Margin, guard and sizing. Null switches a rule off; by default nothing but the margin call is on."""

    maintenance_margin_frac: float = 0.05
    max_exposure: float | None = None
    max_drawdown_frac: float | None = None
    max_daily_loss_frac: float | None = None

    def check(self) -> None:
        require_between("risk.maintenance_margin_frac", self.maintenance_margin_frac, 0.0, 0.99)
        for name in ("max_exposure", "max_drawdown_frac", "max_daily_loss_frac"):
            value = getattr(self, name)
            require(value is None or value > 0, f"risk.{name} must be > 0 or null, was {value}")
