"""Self-modification: when rules fire, what becomes of changes, and that nothing is ever the worse for it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.stages.self_modification import Bound, RuleConfig, SelfModificationConfig
from src.errors import ConfigError, DataError, TransientError
from src.evaluation.returns import Performance, performance
from src.reasoning.adaptation_rules import AdaptationRules
from src.reasoning.self_modification import Action, AdaptationPlan, check_performance_and_adapt, metrics_of
from src.trading.records import StepRecord

WEAK = RuleConfig("sharpe", Bound.at_most, 0.5, "architecture_search")
DEEP = RuleConfig("max_drawdown", Bound.at_least, 0.25, "reduce_risk", lasts=2)


@dataclass
class Toy:
    """An agent whose held-out score is the sum of its weights."""

    adaptation_rules: AdaptationRules
    weights: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.1]))
    notes: dict[str, list[int]] = field(default_factory=lambda: {"seen": [1]})
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def state(self) -> tuple[bytes, str, str]:
        """Return all of it but the counts of its rules."""
        return self.weights.tobytes(), repr(self.notes), repr(self.generator.bit_generator.state)


def toy(**rules: RuleConfig) -> Toy:
    return Toy(AdaptationRules(rules or {"weak": WEAK}))


def score(agent: Toy) -> float:
    return float(agent.weights.sum())


def adding(amount: float) -> Action[Toy]:
    """Return an action that changes its agent all over, in place."""

    def change(sign: float) -> Callable[[Toy, RuleConfig], Toy]:
        def apply(agent: Toy, _rule: RuleConfig) -> Toy:
            agent.weights[0] += sign * amount
            agent.notes["seen"].append(len(agent.notes["seen"]))
            agent.generator.random()
            return agent

        return apply

    return Action(change(1.0), change(-1.0))


def run(agent: Toy, amount: float = 1.0, **metrics: float | None) -> AdaptationPlan[Toy]:
    action = adding(amount)
    actions = {"architecture_search": action, "reduce_risk": action}
    return check_performance_and_adapt(agent, {"sharpe": 1.0, "max_drawdown": 0.0} | metrics, actions, score)


def firings(rule: RuleConfig, values: list[float | None]) -> list[int]:
    """Return the evaluations, from 1, at which a rule on the Sharpe ratio fires."""
    agent, fired = toy(weak=rule), []
    for value in values:
        plan = run(agent, sharpe=value)
        agent = plan.agent
        fired += [decision.evaluation for decision in plan.decisions]
    return fired


def test_nothing_due_leaves_the_very_same_agent_and_asks_no_score() -> None:
    agent = toy()

    def unwanted(_agent: Toy) -> float:
        raise AssertionError("nothing was due")

    plan = check_performance_and_adapt(agent, {"sharpe": 0.51}, {"architecture_search": adding(1.0)}, unwanted)
    assert plan.agent is agent
    assert (plan.evaluation, plan.decisions, plan.is_changed, plan.trials) == (1, (), False, 0)


def test_a_better_change_is_accepted_and_the_old_agent_keeps_its_state() -> None:
    agent = toy()
    before = agent.state()
    plan = run(agent, sharpe=0.5)
    assert plan.is_changed
    assert score(plan.agent) == pytest.approx(2.1)
    assert agent.state() == before
    assert plan.agent.adaptation_rules.state_dict() == agent.adaptation_rules.state_dict()
    assert plan.figures() == {
        "adaptation/due": 1.0,
        "adaptation/accepted": 1.0,
        "adaptation/gain/weak": pytest.approx(1.0),
    }


def test_a_worse_change_is_rolled_back_bit_for_bit() -> None:
    agent = toy()
    before = agent.state()
    plan = run(agent, amount=-1e-9, sharpe=0.0)
    assert plan.agent is agent
    assert agent.state() == before
    (decision,) = plan.decisions
    assert (decision.accepted, plan.is_changed, plan.trials) == (False, False, 1)
    assert "rolled back" in decision.reason


def test_judging_leaves_no_trace_in_the_agent() -> None:
    def scribbling(agent: Toy) -> float:
        found = score(agent)
        agent.weights[:] = np.nan
        agent.generator.random()
        return found

    agent = toy()
    before = agent.state()
    plan = check_performance_and_adapt(agent, {"sharpe": 0.0}, {"architecture_search": adding(2.0)}, scribbling)
    assert agent.state() == before
    assert score(plan.agent) == pytest.approx(3.1)


def test_an_equal_score_is_accepted() -> None:
    agent = toy()
    plan = run(agent, amount=0.0, sharpe=0.0)
    assert plan.agent is not agent
    assert plan.decisions[0].score_after == plan.decisions[0].score_before
    assert plan.is_changed


def test_a_replacement_carries_the_counts_on() -> None:
    rules = {"weak": replace(WEAK, cooldown=2)}
    agent = Toy(AdaptationRules(rules))

    def fresh(_agent: Toy, _rule: RuleConfig) -> Toy:
        return Toy(AdaptationRules(rules), weights=np.array([5.0]))

    fired, current = [], agent
    for _ in range(5):
        plan = check_performance_and_adapt(current, {"sharpe": 0.0}, {"architecture_search": Action(fresh)}, score)
        fired += [decision.evaluation for decision in plan.decisions]
        current = plan.agent
    assert fired == [1, 4]


def test_patience_counts_evaluations_in_a_row() -> None:
    patient = replace(WEAK, patience=3)
    assert firings(patient, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == [6, 9]
    assert firings(WEAK, [0.0, 1.0, 0.0]) == [1, 3]


def test_cooldown_keeps_a_rule_quiet_and_ends() -> None:
    assert firings(replace(WEAK, cooldown=2), [0.0] * 8) == [1, 4, 7]
    # The row is counted during the cooldown too, so the longer of the two decides.
    assert firings(replace(WEAK, cooldown=2, patience=2), [0.0] * 9) == [2, 5, 8]
    assert firings(replace(WEAK, cooldown=1, patience=4), [0.0] * 9) == [4, 8]


def test_an_undefined_metric_never_triggers_and_ends_the_row() -> None:
    assert firings(WEAK, [None, None]) == []
    assert firings(replace(WEAK, patience=2), [0.0, None, 0.0, 0.0]) == [4]


@pytest.mark.parametrize(("comparison", "fired"), [(Bound.at_most, [1, 2]), (Bound.at_least, [2, 3])])
def test_comparison_includes_its_threshold(comparison: Bound, fired: list[int]) -> None:
    assert firings(replace(WEAK, comparison=comparison), [0.4, 0.5, 0.6]) == fired


def test_rules_act_in_their_order_each_on_what_the_ones_before_left() -> None:
    agent = toy(deep=replace(DEEP, lasts=None), weak=WEAK)
    seen: list[tuple[str, float]] = []

    def times(name: str, factor: float) -> Action[Toy]:
        def apply(one: Toy, rule: RuleConfig) -> Toy:
            seen.append((name, score(one)))
            assert rule.action == name
            one.weights *= factor
            return one

        return Action(apply)

    actions = {"architecture_search": times("architecture_search", 3.0), "reduce_risk": times("reduce_risk", 0.5)}
    plan = check_performance_and_adapt(agent, {"sharpe": 0.0, "max_drawdown": 0.5}, actions, score)
    # The first, which halves the score, is rolled back: the second begins from what was there.
    assert [name for name, _ in seen] == ["reduce_risk", "architecture_search"]
    assert [value for _, value in seen] == pytest.approx([1.1, 1.1])
    assert [decision.accepted for decision in plan.decisions] == [False, True]
    actions["reduce_risk"] = times("reduce_risk", 2.0)
    seen.clear()
    agent = toy(deep=replace(DEEP, lasts=None), weak=WEAK)
    plan = check_performance_and_adapt(agent, {"sharpe": 0.0, "max_drawdown": 0.5}, actions, score)
    assert [value for _, value in seen] == pytest.approx([1.1, 2.2])
    assert score(plan.agent) == pytest.approx(6.6)
    assert plan.decisions[1].score_before == plan.decisions[0].score_after


def test_an_action_that_fails_is_rolled_back_and_logged_and_a_defect_goes_up() -> None:
    agent = toy()
    before = agent.state()

    def failing(error: Exception) -> Action[Toy]:
        def apply(one: Toy, _rule: RuleConfig) -> Toy:
            one.weights[:] = 99.0
            raise error

        return Action(apply)

    actions = {"architecture_search": failing(TransientError("the workers are gone"))}
    plan = check_performance_and_adapt(agent, {"sharpe": 0.25}, actions, score)
    (decision,) = plan.decisions
    assert plan.agent is agent
    assert agent.state() == before
    assert (decision.accepted, decision.score_after, plan.trials) == (False, None, 0)
    assert decision.reason == (
        "sharpe was 0.25, at most 0.5, so architecture_search was tried and failed (the workers are gone): rolled back"
    )
    with pytest.raises(ZeroDivisionError):
        check_performance_and_adapt(
            agent, {"sharpe": 0.0}, {"architecture_search": failing(ZeroDivisionError())}, score
        )


def test_a_proposed_agent_that_cannot_be_judged_is_rolled_back() -> None:
    agent = toy()
    plan = run(agent, amount=float("nan"), sharpe=0.0)
    assert plan.agent is agent
    assert "held-out score is nan" in plan.decisions[0].reason
    agent.weights[0] = np.nan
    with pytest.raises(DataError, match="held-out score is nan"):
        run(agent, sharpe=0.0)


def test_a_change_that_lasts_is_taken_back_in_its_time() -> None:
    agent, log = toy(deep=DEEP), []
    for drawdown in (0.3, 0.3, 0.3, 0.0, 0.3):
        # Undoing an amount of 0 costs nothing, so it is accepted as soon as it is due.
        plan = run(agent, amount=0.0, max_drawdown=drawdown)
        agent = plan.agent
        log += [(decision.evaluation, decision.ends, decision.accepted) for decision in plan.decisions]
    # Fired at 1; has lasted two evaluations at 3, and does not fire while it stands; free again from 4 on.
    assert log == [(1, False, True), (3, True, True), (5, False, True)]
    assert "has lasted its 2 evaluation(s), so the end of reduce_risk was tried" in plan_reason(3)


def plan_reason(evaluation: int) -> str:
    agent = toy(deep=DEEP)
    for drawdown in [0.3, *[0.0] * (evaluation - 1)]:
        plan = run(agent, amount=0.0, max_drawdown=drawdown)
        agent = plan.agent
    return plan.decisions[0].reason


def test_the_end_of_a_change_waits_until_it_does_no_harm() -> None:
    agent, log = toy(deep=DEEP), []
    for amount in (1.0, 1.0, 1.0, 1.0, -1.0, 1.0):
        # The change adds 1 to the score, so taking 1 away again is refused until undoing adds something.
        plan = run(agent, amount=amount, max_drawdown=0.3 if not log else 0.0)
        agent = plan.agent
        log += [(decision.evaluation, decision.ends, decision.accepted) for decision in plan.decisions]
    assert log == [(1, False, True), (3, True, False), (4, True, False), (5, True, True)]


def test_counts_survive_a_save_in_the_middle() -> None:
    rules = {"weak": replace(WEAK, patience=2, cooldown=3), "deep": DEEP}
    values = [(0.0, 0.3), (0.0, 0.0), (0.0, 0.0), (1.0, 0.4), (0.0, 0.3), (0.0, 0.3), (0.0, 0.0)]
    whole, logs = toy(**rules), [[], []]
    for kind in range(2):
        agent = whole if kind == 0 else toy(**rules)
        for sharpe, drawdown in values:
            if kind == 1:
                saved = json.loads(json.dumps(agent.adaptation_rules.state_dict()))
                agent.adaptation_rules = AdaptationRules(rules)
                agent.adaptation_rules.load_state_dict(saved)
            plan = run(agent, sharpe=sharpe, max_drawdown=drawdown)
            agent = plan.agent
            logs[kind] += plan.to_plain()
    assert logs[0] == logs[1]
    assert len(logs[0]) >= 4
    with pytest.raises(ConfigError, match="counts are of the rules weak, deep, but the rules are weak"):
        AdaptationRules({"weak": WEAK}).load_state_dict(AdaptationRules(rules).state_dict())


def test_the_log_is_plain_data_with_every_reason() -> None:
    (entry,) = json.loads(json.dumps(run(toy(), sharpe=0.25).to_plain()))
    assert entry == {
        "evaluation": 1,
        "rule": "weak",
        "metric": "sharpe",
        "value": 0.25,
        "comparison": "at_most",
        "threshold": 0.5,
        "action": "architecture_search",
        "ends": False,
        "score_before": pytest.approx(1.1),
        "score_after": pytest.approx(2.1),
        "accepted": True,
        "reason": "sharpe was 0.25, at most 0.5, so architecture_search was tried: "
        "held-out score 1.1 before, 2.1 after: accepted",
    }


def test_what_is_missing_or_not_finite_is_refused_and_counts_nothing() -> None:
    agent = toy()
    actions = {"architecture_search": adding(1.0)}
    with pytest.raises(ConfigError, match="rule 'weak': metric 'sharpe' is unknown; did you mean 'sharp'"):
        check_performance_and_adapt(agent, {"sharp": 0.0}, actions, score)
    with pytest.raises(ConfigError, match="rule 'weak': action 'architecture_search' is unknown"):
        check_performance_and_adapt(agent, {"sharpe": 0.0}, {"reduce_risk": adding(1.0)}, score)
    for value in (float("nan"), float("inf")):
        with pytest.raises(DataError, match=r"rule 'weak': sharpe is .*; a metric that is undefined must be None"):
            check_performance_and_adapt(agent, {"sharpe": value}, actions, score)
    assert agent.adaptation_rules.evaluations == 0
    lasting = toy(deep=DEEP)
    with pytest.raises(ConfigError, match="reduce_risk cannot be taken back; set lasts=null"):
        check_performance_and_adapt(lasting, {"max_drawdown": 0.0}, {"reduce_risk": Action(adding(1.0).apply)}, score)


def test_metrics_of_an_account_serve_every_default_rule() -> None:
    account = idle_account()
    metrics = metrics_of(account, calibration_error=0.02, memory_gain=None, profit_drift=0.3)
    assert (metrics["profit_factor"], metrics["max_drawdown"], metrics["trades"]) == (None, 0.0, 0)
    agent = Toy(AdaptationRules(SelfModificationConfig().active_rules))
    actions = {rule.action: adding(0.0) for rule in agent.adaptation_rules.rules.values()}
    assert check_performance_and_adapt(agent, metrics, actions, score).decisions == ()


def idle_account(bars: int = 50) -> Performance:
    columns = {name: np.zeros(bars) for name in StepRecord._fields} | {"equity": np.full(bars, 1_000.0)}
    return performance(StepRecord(**columns), np.full(bars, 100.0), 252.0, 1_000.0)


@settings(max_examples=60, deadline=None)
@given(
    amounts=st.lists(st.just(float("nan")) | st.floats(-5, 5), min_size=1, max_size=8),
    patience=st.integers(1, 2),
    lasts=st.none() | st.integers(1, 2),
    data=st.data(),
)
def test_no_agent_is_ever_worse_for_it(
    amounts: list[float], patience: int, lasts: int | None, data: st.DataObject
) -> None:
    agent = toy(deep=replace(DEEP, lasts=lasts), weak=replace(WEAK, patience=patience))
    for amount in amounts:
        before, old = score(agent), agent.state()
        sharpe = data.draw(st.none() | st.floats(-1, 1))
        plan = run(agent, amount=amount, sharpe=sharpe, max_drawdown=data.draw(st.floats(0, 1)))
        assert score(plan.agent) >= before
        assert agent.state() == old
        assert plan.is_changed == (plan.agent is not agent)
        agent = plan.agent
