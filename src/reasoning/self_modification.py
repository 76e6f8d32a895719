"""`check_performance_and_adapt`: an agent checks its performance, and changes itself if that helps.

Called at the end of each evaluation. The agent carries its rules (`adaptation_rules.py`). Their actions are callables
that the caller gives; they work on a copy, so a change that is worse on held-out data is undone exactly: the original
agent was never touched. Rules have a patience against noisy metrics; for profits there is a sequential test
(`src/evaluation/profit_drift.py`) whose false alarms are rare by construction.

Not here: what the changes are. The trainer gives the actions and applies the result.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Generic, Protocol, TypeVar

from src.config.base import require_known
from src.config.stages.self_modification import PERFORMANCE_METRICS, RuleConfig
from src.errors import ConfigError, DataError, TraderError
from src.evaluation.returns import Performance
from src.reasoning.adaptation_rules import AdaptationRules, TriggeredRule


class Adaptable(Protocol):
    """An agent that can change itself: it carries rules, and `copy.deepcopy` copies it whole."""

    @property
    def adaptation_rules(self) -> AdaptationRules:
        """The rules and their counts."""
        ...


A = TypeVar("A", bound=Adaptable)
Change = Callable[[A, RuleConfig], A]
HeldOut = Callable[[A], float]


@dataclass(frozen=True)
class Action(Generic[A]):
    """What a rule may do.

    Attributes:
        apply: takes a copy of the agent, to change or to replace, and the rule; returns the agent proposed.
        undo: the same for the end of a change that lasts; leaves an agent without that change as it is.
    """

    apply: Change[A]
    undo: Change[A] | None = None


@dataclass(frozen=True)
class AdaptationDecision:
    """What became of one triggered rule.

    Attributes:
        evaluation: number of the evaluation, from 1.
        value: of the metric; None at the end of a change if it was undefined.
        ends: whether the end of a change was proposed, rather than a change.
        score_before, score_after: on held-out data; `score_after` is None if the action failed.
        accepted: whether the agent is now the proposed one.
        reason: all of it in a sentence.
    """

    evaluation: int
    rule: str
    metric: str
    value: float | None
    comparison: str
    threshold: float
    action: str
    ends: bool
    score_before: float
    score_after: float | None
    accepted: bool
    reason: str

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class AdaptationPlan(Generic[A]):
    """The agent to go on with, and why.

    Attributes:
        agent: never worse on held-out data than the one given, and that very object if no change was accepted.
        evaluation: number of this evaluation, from 1.
        decisions: in the order they were taken; none if no rule was triggered.
    """

    agent: A
    evaluation: int
    decisions: tuple[AdaptationDecision, ...]

    @property
    def is_changed(self) -> bool:
        """Whether a change was accepted."""
        return any(decision.accepted for decision in self.decisions)

    @property
    def trials(self) -> int:
        """Proposed agents that were judged on held-out data; they count against luck like any others."""
        return sum(decision.score_after is not None for decision in self.decisions)

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the decisions as plain data, for a log or a report."""
        return [decision.to_plain() for decision in self.decisions]

    def figures(self) -> dict[str, float]:
        """Return numbers for a tracker: counts, and the gain each accepted rule brought on held-out data."""
        gains = {
            f"adaptation/gain/{decision.rule}": decision.score_after - decision.score_before
            for decision in self.decisions
            if decision.accepted and decision.score_after is not None
        }
        accepted = float(sum(decision.accepted for decision in self.decisions))
        return {"adaptation/due": float(len(self.decisions)), "adaptation/accepted": accepted} | gains


def check_performance_and_adapt(
    agent: A,
    performance_metrics: Mapping[str, float | None],
    actions: Mapping[str, Action[A]],
    held_out: HeldOut[A],
) -> AdaptationPlan[A]:
    """Count one evaluation of an agent, and try the actions of its triggered rules, one after the other.

    Each change starts from what the ones before it left. It is accepted if its held-out score is not below that of the
    agent it would replace; an action that fails with a `TraderError` is a change refused, and any other exception is a
    defect and is raised. The end of a change that lasts is a change like any other, proposed at each evaluation from
    its time on until it is accepted.

    Args:
        agent: not changed, apart from the counts of its rules.
        performance_metrics: by name, None where undefined; see `metrics_of`.
        actions: by the names rules use.
        held_out: score of an agent on data that neither trained it nor set off the rules, higher is better; gets a
            copy.

    Raises:
        ConfigError: a rule names a metric or an action that was not given, or a change that lasts has no undo.
        DataError: a metric or the agent's own score is not finite.
    """
    for name, rule in agent.adaptation_rules.rules.items():
        _require_action(name, rule, actions)
    triggered = agent.adaptation_rules.observe(performance_metrics)
    evaluation = agent.adaptation_rules.evaluations
    if not triggered:
        return AdaptationPlan(agent, evaluation, ())
    current, score, decisions = agent, _score(agent, held_out), []
    for one in triggered:
        proposed, decision = _try(one, current, score, evaluation, actions[one.rule.action], held_out)
        agent.adaptation_rules.record_outcome(one, decision.accepted)
        if decision.accepted and decision.score_after is not None:
            current, score = proposed, decision.score_after
        decisions.append(decision)
    if current is not agent:
        current.adaptation_rules.load_state_dict(agent.adaptation_rules.state_dict())
    return AdaptationPlan(current, evaluation, tuple(decisions))


def metrics_of(performance: Performance, **extra: float | None) -> dict[str, float | None]:
    """Return every number of an account by its name, None where undefined, and the extra ones."""
    return {name: getattr(performance, name) for name in PERFORMANCE_METRICS} | extra


def _try(
    triggered: TriggeredRule, agent: A, score: float, evaluation: int, action: Action[A], held_out: HeldOut[A]
) -> tuple[A, AdaptationDecision]:
    rule, proposed, after, failure = triggered.rule, agent, None, ""
    change = action.undo if triggered.ends else action.apply
    assert change is not None, "_require_action checks it"
    try:
        proposed = change(deepcopy(agent), rule)
        after = _score(proposed, held_out)
    except TraderError as error:
        failure = str(error)
    accepted = after is not None and after >= score
    decision = AdaptationDecision(
        evaluation=evaluation,
        rule=triggered.name,
        metric=rule.metric,
        value=triggered.value,
        comparison=rule.comparison.value,
        threshold=rule.threshold,
        action=rule.action,
        ends=triggered.ends,
        score_before=score,
        score_after=after,
        accepted=accepted,
        reason=f"{_cause(triggered)}, so {_effect(triggered, score, after, failure)}",
    )
    return (proposed if accepted else agent), decision


def _cause(triggered: TriggeredRule) -> str:
    if triggered.ends:
        return f"{triggered.rule.action} of rule '{triggered.name}' has lasted its {triggered.rule.lasts} evaluation(s)"
    assert triggered.value is not None, "an undefined metric never fires"
    side = triggered.rule.comparison.value.replace("_", " ")
    return f"{triggered.rule.metric} was {triggered.value:.6g}, {side} {triggered.rule.threshold:g}"


def _effect(triggered: TriggeredRule, before: float, after: float | None, failure: str) -> str:
    what = f"the end of {triggered.rule.action}" if triggered.ends else triggered.rule.action
    if after is None:
        return f"{what} was tried and failed ({failure}): rolled back"
    verdict = "accepted" if after >= before else "rolled back"
    return f"{what} was tried: held-out score {before:.6g} before, {after:.6g} after: {verdict}"


def _score(agent: A, held_out: HeldOut[A]) -> float:
    score = float(held_out(deepcopy(agent)))
    if not isfinite(score):
        raise DataError(f"the held-out score is {score}; an agent that cannot be judged cannot be compared")
    return score


def _require_action(name: str, rule: RuleConfig, actions: Mapping[str, Action[A]]) -> None:
    require_known(f"rule '{name}': action", [rule.action], actions)
    if rule.lasts is not None and actions[rule.action].undo is None:
        raise ConfigError(f"rule '{name}': {rule.action} cannot be taken back; set lasts=null")
