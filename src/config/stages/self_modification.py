"""Settings of self-modification: when an agent changes itself, and how. Rules as in `base.py`."""

import math
from dataclasses import dataclass, field
from enum import Enum

from src.config.base import Schema, require, require_at_least, require_between, require_known

# The numbers of `src.evaluation.returns.Performance`; a test compares them.
PERFORMANCE_METRICS = (
    "bars",
    "years",
    "total_return",
    "cagr",
    "annual_volatility",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "initial_equity",
    "final_equity",
    "profit",
    "turnover_per_bar",
    "turnover_per_year",
    "exposure",
    "in_market_frac",
    "trades",
    "hit_rate",
    "profit_factor",
    "cost_frac",
    "cost_bps",
    "break_even_fee_bps",
    "bars_per_year",
)
# What is measured beside an account. profit_drift is 1 where `src/evaluation/profit_drift.py` says that profit fell.
EXTRA_METRICS = ("calibration_error", "memory_gain", "profit_drift")
ACTIONS = ("architecture_search", "hyperparameter_search", "reduce_risk", "refit_regime", "change_memory")


class Bound(Enum):
    """On which side of its threshold a metric calls for action; equality does."""

    at_most = "at_most"
    at_least = "at_least"


@dataclass
class RuleConfig(Schema):
    """One rule: if the metric is at most (at least) the threshold, do something about it.

    Attributes:
        metric, action: see `PERFORMANCE_METRICS`, `EXTRA_METRICS` and `ACTIONS`.
        patience: consecutive evaluations the metric must be out for.
        cooldown: evaluations that must pass between two firings.
        lasts: evaluations after which the change is taken back; null for a change that stays.
    """

    metric: str = "profit_factor"
    comparison: Bound = Bound.at_most
    threshold: float = 1.0
    action: str = "architecture_search"
    patience: int = 1
    cooldown: int = 0
    lasts: int | None = None

    def check(self) -> None:
        require_known("metric", [self.metric], [*PERFORMANCE_METRICS, *EXTRA_METRICS])
        require_known("action", [self.action], ACTIONS)
        require(math.isfinite(self.threshold), f"threshold must be finite, was {self.threshold:g}")
        require_at_least("patience", self.patience, 1)
        require_at_least("cooldown", self.cooldown, 0)
        if self.lasts is not None:
            require_at_least("lasts", self.lasts, 1)


@dataclass
class ProfitDriftConfig(Schema):
    """The sequential test behind the metric profit_drift; see `src/evaluation/profit_drift.py`.

    Attributes:
        shift_deviations: fall of the mean profit of a bar that is looked for, in standard deviations of a bar.
        bars_between_false_alarms: mean number of bars until an unchanged market is called changed.
        reference_errors: standard errors by which the mean of the reference is lowered, since it was measured too.
    """

    shift_deviations: float = 0.1
    bars_between_false_alarms: float = 200_000.0
    reference_errors: float = 2.0

    def check(self) -> None:
        require_between("shift_deviations", self.shift_deviations, 1e-3, 10.0)
        require_between("bars_between_false_alarms", self.bars_between_false_alarms, 100.0, 1e9)
        require_between("reference_errors", self.reference_errors, 0.0, 10.0)


def _rules() -> dict[str, RuleConfig | None]:
    above, below = Bound.at_least, Bound.at_most
    return {
        "deep_drawdown": RuleConfig("max_drawdown", above, 0.25, "reduce_risk", lasts=2),
        "lost_calibration": RuleConfig("calibration_error", above, 0.1, "refit_regime", cooldown=1),
        "useless_memory": RuleConfig("memory_gain", below, 0.0, "change_memory", patience=2, cooldown=2),
        "profit_fell": RuleConfig("profit_drift", above, 1.0, "hyperparameter_search", cooldown=1),
        "weak_profit": RuleConfig("profit_factor", below, 1.0, "architecture_search", patience=2, cooldown=3),
    }


@dataclass
class SelfModificationConfig(Schema):
    """What an agent watches in itself.

    Attributes:
        enabled: whether any rule is looked at.
        reduced_exposure: share of its exposure an agent keeps while its risk is reduced.
        rules: by name, looked at in this order: what costs little comes first. null leaves one out; settings of a
            rule that are not given are its defaults.
    """

    enabled: bool = True
    reduced_exposure: float = 0.5
    drift: ProfitDriftConfig = field(default_factory=ProfitDriftConfig)
    rules: dict[str, RuleConfig | None] = field(default_factory=_rules)

    def check(self) -> None:
        require_between("reduced_exposure", self.reduced_exposure, 0.0, 1.0)

    @property
    def active_rules(self) -> dict[str, RuleConfig]:
        """The rules that are looked at, in order."""
        return {name: rule for name, rule in self.rules.items() if rule is not None} if self.enabled else {}
