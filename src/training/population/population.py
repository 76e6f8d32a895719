"""`Population`: the survivors, the next members and their parents, and everything that was ever tried.

Weights of the fittest members of all generations so far are kept; children begin with the weights of one of them. The
search strategy proposes genomes and never one twice; a child's parent is the survivor whose architecture differs from
the child's in the fewest genes, the fittest of these, so that as much as can be is inherited.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from src.config.base import require_known
from src.config.stages.autonomous import AutonomousStageConfig
from src.errors import ConfigError
from src.nas.agent_space import agent_space, genome_of
from src.nas.differentiable_search import DifferentiableSearch
from src.nas.search_controller import Evaluation, Preferences, SearchController
from src.nas.search_space import Genome, SearchSpace
from src.nas.strategies import SearchSettings, known_strategies
from src.seeding import generator, integer_seed
from src.training.population.member import Member, MemberSpec, Parent
from src.training.population.shared_market import MarketSeries

_NOT_RECORDED = ("weights", "returns", "description", "history")  # what a record leaves out


class Population:
    """N members a generation, over generations.

    Args:
        stage: settings.
        start: genome of the configured agent, the first member of all.
        seed: of the stage; every draw is a function of it, the generation and the member.
        ancestor: what the first generation inherits from.
        plugins: modules that may hold the search strategy.

    Raises:
        ConfigError: the search strategy is unknown, or a plug-in cannot be used.
    """

    def __init__(
        self,
        stage: AutonomousStageConfig,
        start: Genome,
        seed: int,
        ancestor: Parent | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        self._stage, self._seed, self._ancestor = stage, seed, ancestor
        self.space = agent_space(stage.search, start, stage)
        self._controller = _controller(stage, self.space, start, seed, plugins)
        self.generation = 0  # complete ones
        self.survivors: list[Member] = []  # fittest first
        self.records: list[dict[str, Any]] = []  # of every member, in the order of training
        self._returns: list[NDArray[np.float64]] = []
        self._rejected = 0  # trials without a record

    @property
    def evaluations(self) -> int:
        """How many agents were ever evaluated."""
        return len(self.records) + self._rejected

    @property
    def champion(self) -> Member:
        """The fittest of all."""
        return self.survivors[0]

    @property
    def returns(self) -> NDArray[np.float64]:
        """Returns a bar of every member on the folds, (R, records)."""
        return np.stack(self._returns, axis=1)

    def inform(self, preferences: Preferences) -> None:
        """Give preferences to the search; only for a strategy that takes them."""
        assert isinstance(self._controller, DifferentiableSearch), f"{self._stage.controller} takes no advice"
        self._controller.inform(preferences)

    def specs(self, stressed: Sequence[MarketSeries]) -> list[MemberSpec]:
        """Return the members to train in this generation; fewer only when the space is exhausted.

        Raises:
            ConfigError: the search strategy proposed what is no genome of the space, or one twice.
        """
        asked = self._controller.ask(self._stage.members)
        self._check(asked)
        return [
            MemberSpec(
                name=f"g{self.generation:02d}_m{place}",
                genome=genome,
                seed=integer_seed(self._seed, "member", self.generation, place),
                parent=self._parent_of(genome),
                stressed=tuple(stressed),
            )
            for place, genome in enumerate(asked)
        ]

    def add_generation(self, members: Sequence[Member]) -> None:
        """End a generation with its members, in the order of their specifications."""
        self._controller.tell([Evaluation(member.genome, member.total) for member in members])
        for member in members:
            self._add_record(member, self.generation)
        trained = [member for member in (*self.survivors, *members) if not member.failure]
        self.survivors = sorted(trained, key=lambda member: -member.total)[: self._stage.survivors]
        self.generation += 1

    def replace_champion(self, member: Member) -> None:
        """Put a changed champion in the place of the old one, whatever its fitness: it was judged on its own."""
        self._add_record(member, self.generation - 1)
        self.survivors = [member, *self.survivors[1:]]

    def count_trials(self, trials: int) -> None:
        """Count proposals that were evaluated and refused: they too could have been lucky."""
        self._rejected += trials

    def lineage(self, name: str) -> list[str]:
        """Return a member's ancestors, oldest first, itself the last."""
        parents = {record["name"]: record["parent"] for record in self.records}
        line = [name]
        while (parent := parents.get(line[0])) is not None:
            line.insert(0, parent)
        return line

    def figures(self) -> dict[str, float]:
        """Return figures for a tracker about the last generation."""
        last = [record for record in self.records if record["generation"] == self.generation - 1]
        totals = np.array([record["fitness"]["total"] for record in last if not record["failure"]] or [0.0])
        architectures = Counter(record["arch_id"] for record in last)
        shares = np.array(list(architectures.values())) / max(1, len(last))
        figures = {
            "population/best": self.champion.total if self.survivors else 0.0,
            "population/generation_best": float(totals.max()),
            "population/generation_median": float(np.median(totals)),
            "population/generation_worst": float(totals.min()),
            "population/failed": float(sum(bool(record["failure"]) for record in last)),
            "population/architectures": float(len(architectures)),
            "population/diversity": float(-(shares * np.log(shares)).sum()),  # entropy of architectures, nats
            "population/trials": float(self.evaluations),
        }
        for name in (*self._stage.search.RANGES, "gamma"):
            values = [float(record["genome"][name]) for record in last]
            figures[f"hyperparameters/{name}"] = float(np.median(values)) if values else 0.0
        return figures

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain data from which `load_state_dict` continues.

        Raises:
            ConfigError: the state of the search strategy is not plain data.
        """
        return {
            "generation": self.generation,
            "controller": self._controller_state(),
            "survivors": [member_to_plain(member) for member in self.survivors],
            "records": self.records,
            "refused": self._rejected,
            "returns": [torch.from_numpy(returns.copy()) for returns in self._returns],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict` of a population of the same settings."""
        self.generation = state["generation"]
        self._controller.load_state_dict(state["controller"])
        self.survivors = [member_from_plain(member) for member in state["survivors"]]
        self.records, self._rejected = list(state["records"]), state["refused"]
        self._returns = [returns.numpy() for returns in state["returns"]]

    def _check(self, asked: Sequence[Genome]) -> None:
        strategy = f"search strategy '{self._stage.controller}'"
        for genome in asked:
            try:
                self.space.check(genome)
            except ConfigError as error:
                raise ConfigError(f"{strategy} proposed {dict(genome)}: {error}") from error
        if len({self.space.genome_id(genome) for genome in asked}) < len(asked):
            raise ConfigError(f"{strategy} proposed a genome twice in generation {self.generation}")

    def _controller_state(self) -> dict[str, Any]:
        state = self._controller.state_dict()
        try:
            json.dumps(state)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"search strategy '{self._stage.controller}' must return plain data from state_dict, so that a killed "
                f"run can go on ({error})"
            ) from error
        return state

    def _parent_of(self, genome: Genome) -> Parent | None:
        if not self.survivors:
            return self._ancestor
        shapes = [name for name in self.space.genes if name not in _trained(self._stage)]

        def differing_genes(member: Member) -> int:
            return sum(member.genome[name] != genome[name] for name in shapes)

        nearest = min(self.survivors, key=lambda member: (differing_genes(member), -member.total))
        return Parent(nearest.name, self._stage.kind, nearest.description, nearest.weights)

    def _add_record(self, member: Member, generation: int) -> None:
        self.records.append(self._record(member, generation))
        self._returns.append(member.returns)

    def _record(self, member: Member, generation: int) -> dict[str, Any]:
        plain = {name: value for name, value in vars(member).items() if name not in _NOT_RECORDED}
        return plain | {
            "generation": generation,
            "arch_id": self.space.arch_id(member.genome),
            "genome_id": self.space.genome_id(member.genome),
            "changes": list(member.changes),
            "folds": list(member.folds),
        }


def member_to_plain(member: Member) -> dict[str, Any]:
    """Return tensors and plain data."""
    return asdict(member) | {"weights": member.weights, "returns": torch.from_numpy(member.returns.copy())}


def member_from_plain(plain: Mapping[str, Any]) -> Member:
    """Rebuild from `member_to_plain`."""
    tuples = {name: tuple(plain[name]) for name in ("changes", "folds", "history")}
    return Member(**{**plain, **tuples, "returns": plain["returns"].numpy()})


def start_genome(stage: AutonomousStageConfig, core: Any) -> Genome:
    """Return the genome of the configured agent."""
    mind = stage.mind
    modules = [part for part in mind.parts if part != "memory"]
    if mind.world.imagination:
        modules.append("imagination")
    return genome_of(stage.search, core, stage, mind.memory.capacity if mind.memory_on else 0, modules)


def _trained(stage: AutonomousStageConfig) -> tuple[str, ...]:
    # Genes of training, which decide no shapes.
    return (*stage.search.CHOICES, *stage.search.RANGES)


def _controller(
    stage: AutonomousStageConfig, space: SearchSpace, start: Genome, seed: int, plugins: Sequence[str]
) -> SearchController:
    known = known_strategies(plugins)
    require_known("controller", [stage.controller], known)
    strategy, rng = known[stage.controller], generator(seed, "search")
    founders = [start] if stage.founder else []
    if not strategy.draws_first_generation:
        founders += space.spread(max(0, stage.members - len(founders)), rng)
    settings = SearchSettings(stage.members, stage.survivors, stage.tournament, stage.crossover_frac)
    return strategy.make(space, rng, founders, settings)
