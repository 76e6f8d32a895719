"""`AdaptationRules`: which of an agent's rules are triggered, counted over its evaluations."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from src.config.base import require_known
from src.config.stages.self_modification import Bound, RuleConfig
from src.errors import ConfigError, DataError


@dataclass
class _RuleState:
    streak: int = 0  # evaluations in a row the metric has been out
    rest: int = 0  # evaluations to pass before the rule may fire again
    left: int | None = None  # evaluations until a change that lasts a while is taken back; None if none stands


class TriggeredRule(NamedTuple):
    """A rule whose action is to be taken, or taken back.

    Attributes:
        value: of the metric; None if undefined, which happens only when a change is to be taken back.
        ends: whether the change is to be taken back.
    """

    name: str
    rule: RuleConfig
    value: float | None
    ends: bool


class AdaptationRules:
    """The rules of an agent, in order, and how far each is from firing.

    A rule fires at the `patience`-th evaluation in a row at which its metric is out; an undefined metric ends the row.
    Having fired, it counts anew and stays quiet for `cooldown` evaluations, whatever became of its change. While a
    change that `lasts` stands, its rule does not fire.
    """

    def __init__(self, rules: Mapping[str, RuleConfig]) -> None:
        self.rules = dict(rules)
        self.evaluations = 0
        self._counts = {name: _RuleState() for name in self.rules}

    def observe(self, metrics: Mapping[str, float | None]) -> list[TriggeredRule]:
        """Count one evaluation and return the triggered rules, ends of changes first.

        Raises:
            ConfigError: a rule watches a metric that is not there; nothing was counted.
            DataError: a metric is not finite; nothing was counted.
        """
        values = {name: _value(metrics, name, rule) for name, rule in self.rules.items()}
        self.evaluations += 1
        ends = [
            TriggeredRule(name, rule, values[name], True) for name, rule in self.rules.items() if self._is_over(name)
        ]
        fires = [
            TriggeredRule(name, rule, values[name], False)
            for name, rule in self.rules.items()
            if self._fires(self._counts[name], rule, values[name])
        ]
        return ends + fires

    def record_outcome(self, triggered: TriggeredRule, accepted: bool) -> None:
        """Record whether a change was accepted; one that lasts then counts down, or has ended. A refused end recurs."""
        if accepted:
            self._counts[triggered.name].left = None if triggered.ends else triggered.rule.lasts

    def state_dict(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {"evaluations": self.evaluations, "counts": {name: vars(one).copy() for name, one in self._items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the counts of the same rules.

        Raises:
            ConfigError: the rules are others.
        """
        if list(state["counts"]) != list(self.rules):
            raise ConfigError(
                f"the counts are of the rules {', '.join(state['counts'])}, but the rules are "
                f"{', '.join(self.rules)}; start with fresh counts"
            )
        self.evaluations = state["evaluations"]
        self._counts = {name: _RuleState(**counts) for name, counts in state["counts"].items()}

    def _items(self) -> list[tuple[str, _RuleState]]:
        return list(self._counts.items())

    def _is_over(self, name: str) -> bool:
        count = self._counts[name]
        if count.left is None:
            return False
        count.left = max(0, count.left - 1)
        return count.left == 0

    @staticmethod
    def _fires(count: _RuleState, rule: RuleConfig, value: float | None) -> bool:
        count.streak = count.streak + 1 if _is_out(rule, value) else 0
        count.rest = max(0, count.rest - 1)
        if count.streak < rule.patience or count.rest > 0 or count.left is not None:
            return False
        count.streak, count.rest = 0, rule.cooldown + 1
        return True


def _is_out(rule: RuleConfig, value: float | None) -> bool:
    if value is None:
        return False
    return value <= rule.threshold if rule.comparison is Bound.at_most else value >= rule.threshold


def _value(metrics: Mapping[str, float | None], name: str, rule: RuleConfig) -> float | None:
    require_known(f"rule '{name}': metric", [rule.metric], metrics)
    value = metrics[rule.metric]
    if value is not None and not isfinite(value):
        raise DataError(f"rule '{name}': {rule.metric} is {value}; a metric that is undefined must be None")
    return value
