"""How the champion of a population changes itself between generations (`src/reasoning/self_modification.py`).

Its rules watch its performance on all folds but the last; the last judges what they propose. An accepted change makes a
new member, whose parent is the one that changed, and which takes its place.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.evaluation.profit_drift import SHORTEST_REFERENCE, ProfitDrift, reference_of
from src.nas.search_space import SearchSpace
from src.reasoning.adaptation_rules import AdaptationRules
from src.reasoning.self_modification import check_performance_and_adapt, metrics_of
from src.training.population.adaptation_actions import AdaptationActions, Train
from src.training.population.adapted_member import AdaptedMember
from src.training.population.member import Member
from src.training.population.member_evaluation import evaluate_member, fold_result, trade
from src.training.population.population import Population
from src.training.population.shared_market import SharedMarket


class SelfAdaptation:
    """Checks the champion after each generation.

    Args:
        seed: of the stage.

    Attributes:
        log: every decision so far, as plain data.
    """

    def __init__(self, shared: SharedMarket, space: SearchSpace, seed: int) -> None:
        self._shared, self._space, self._seed = shared, space, seed
        self._config = shared.stage.self_modification
        self._rules = AdaptationRules(self._config.active_rules)
        self._changes: dict[str, dict[str, Any]] = {}  # of members, by name
        self._figures: dict[str, float] = {}
        self.log: list[dict[str, Any]] = []

    def check(self, population: Population, train: Train) -> None:
        """Let the champion check its performance and change itself."""
        if not self._rules.rules or len(self._shared.folds) < 2:
            return
        adapted = self.adapted(population.champion)
        actions = AdaptationActions(self._shared, self._space, self._seed, train)
        plan = check_performance_and_adapt(
            adapted, self._metrics(adapted), actions.at(population.generation, population.evaluations), self._held_out
        )
        self._figures = plan.figures()
        self.log += [{"member": adapted.member.name, **decision} for decision in plan.to_plain()]
        self._rules.load_state_dict(plan.agent.adaptation_rules.state_dict())
        population.count_trials(plan.trials - int(plan.is_changed))  # an adopted one is entered by itself
        if plan.is_changed:
            population.replace_champion(self._adopted(plan.agent, adapted.member, population))

    def adapted(self, member: Member) -> AdaptedMember:
        """Return a member with all it changed about itself."""
        return AdaptedMember(member, self._rules, self._shared).changed(self._changes.get(member.name, {}))

    def figures(self) -> dict[str, float]:
        """Return figures for a tracker about the last check."""
        return self._figures

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain data from which `load_state_dict` continues."""
        return {"rules": self._rules.state_dict(), "changes": self._changes, "log": self.log}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._rules.load_state_dict(state["rules"])
        self._changes, self.log = dict(state["changes"]), list(state["log"])

    def _adopted(self, adapted: AdaptedMember, before: Member, population: Population) -> Member:
        # Its name tells that it is the same network, changed after a generation; a child has a name of its own.
        member = adapted.member
        name = f"{before.name}+{population.generation}" if member is before else member.name
        self._changes[name] = adapted.changes()
        adopted = replace(member, name=name, parent=before.name, changes=())
        if adapted.knows_folds:  # what was fitted to the folds would shine there: the record before it stands
            return adopted
        return replace(adopted, **evaluate_member(adapted.agent(), self._shared, adapted.rules).to_plain())

    def _held_out(self, adapted: AdaptedMember) -> float:
        (result,) = trade(adapted.agent(), self._shared, adapted.rules, self._shared.folds[-1:])
        return fold_result(result, adapted.rules).value(self._shared.stage.fitness.measure)

    def _metrics(self, adapted: AdaptedMember) -> dict[str, float | None]:
        watched = self._shared.folds[:-1]
        whole = range(watched[0].start, watched[-1].stop)
        agent = adapted.agent()
        (result,) = trade(agent, self._shared, adapted.rules, [whole])
        return metrics_of(
            result.performance(),
            calibration_error=agent.calibration_error(self._shared.bars, watched),
            memory_gain=self._memory_gain(adapted, fold_result(result, adapted.rules).reward, whole),
            profit_drift=self._drift(result.returns()),
        )

    def _memory_gain(self, adapted: AdaptedMember, reward: float, rows: range) -> float | None:
        # What it earns a bar with its memory, less what the same network earns without.
        if "memory" not in adapted.mind.active:
            return None
        parts = sorted(adapted.mind.active - {"memory"})
        forgetful = replace(adapted, own_mind=adapted.mind.with_parts(parts))
        (result,) = trade(forgetful.agent(), self._shared, adapted.rules, [rows])
        return reward - fold_result(result, adapted.rules).reward

    def _drift(self, returns: NDArray[np.float64]) -> float | None:
        # The first half is what profits are; has their mean fallen in the second?
        half = len(returns) // 2
        if half < SHORTEST_REFERENCE or np.ptp(returns[:half]) == 0:
            return None
        test = ProfitDrift(reference_of(returns[:half]), self._config.drift)
        test.update(returns[half:])
        return test.level
