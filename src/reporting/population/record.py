"""`PopulationRecord`: the run of a population as its page shows it, read from `population.json`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from src.market.bars import FloatArray
from src.reporting.provenance import Genome


@dataclass(frozen=True)
class Trial:
    """One member that was tried, or a change that was judged apart from a generation.

    Attributes:
        generation: counted from 0.
        fitness: parts and total; empty where it failed.
        folds: performance on each fold, plain. training: on the rows it learned from.
        changes: why it did not begin as what its parent was.
        failure: why it could not be trained.
    """

    name: str
    generation: int
    parent: str | None
    genome: Genome
    architecture: str
    fitness: Mapping[str, float]
    folds: Sequence[Mapping[str, Any]]
    training: Mapping[str, Any]
    changes: tuple[str, ...]
    failure: str
    env_steps: int
    seconds: float

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "Trial":
        """Read a record of the population."""
        return cls(
            name=str(record["name"]),
            generation=int(record["generation"]),
            parent=record.get("parent"),
            genome=record.get("genome", {}),
            architecture=str(record.get("arch_id", "")),
            fitness=record.get("fitness", {}),
            folds=record.get("folds", ()),
            training=record.get("training", {}),
            changes=tuple(record.get("changes", ())),
            failure=str(record.get("failure") or ""),
            env_steps=int(record.get("env_steps", 0)),
            seconds=float(record.get("seconds", 0.0)),
        )

    @property
    def total(self) -> float:
        """Fitness."""
        return float(self.fitness["total"])

    @property
    def out_of_sample(self) -> float:
        """Mean annual Sharpe ratio over folds; 0 on a fold it did not trade, as in fitness."""
        return float(np.mean([fold.get("sharpe") or 0.0 for fold in self.folds])) if self.folds else 0.0

    @property
    def in_sample(self) -> float:
        """Annual Sharpe ratio on the rows it learned from; 0 if it did not trade there."""
        return float(self.training.get("sharpe") or 0.0)


@dataclass(frozen=True)
class PopulationRecord:
    """A run.

    Attributes:
        generations: how many are to be.
        champion: its name; empty before the first generation is done.
        lineage: its ancestors, oldest first, itself the last.
        trials: in the order in which they were trained.
        evaluations: agents ever judged: the trials, and changes an agent tried on itself and did not keep.
        adaptations: as `provenance.adaptation_rows` reads them.
        promotion: `Promotion.to_plain()`, once the champion was judged.
        verdict: of the gate; None while the run goes on.
    """

    symbol: str
    generations: int
    champion: str
    lineage: tuple[str, ...]
    trials: tuple[Trial, ...]
    evaluations: int
    adaptations: Sequence[Mapping[str, Any]]
    promotion: Mapping[str, Any] | None
    verdict: str | None

    @classmethod
    def from_plain(cls, run: Mapping[str, Any]) -> "PopulationRecord":
        """Read the content of `population.json`."""
        return cls(
            symbol=str(run["symbol"]),
            generations=int(run["generations"]),
            champion=str(run.get("champion") or ""),
            lineage=tuple(map(str, run.get("lineage") or ())),
            trials=tuple(Trial.from_plain(record) for record in run["records"]),
            evaluations=int(run["evaluations"]),
            adaptations=run.get("adaptations") or (),
            promotion=run.get("promotion"),
            verdict=run.get("verdict"),
        )

    @property
    def generations_done(self) -> int:
        """Generations so far."""
        return 1 + max((trial.generation for trial in self.trials), default=-1)

    @cached_property
    def trained(self) -> list[Trial]:
        """Trials that could be trained and judged."""
        return [trial for trial in self.trials if not trial.failure and "total" in trial.fitness]

    @cached_property
    def failed(self) -> list[Trial]:
        """The others."""
        return [trial for trial in self.trials if trial.failure or "total" not in trial.fitness]

    @cached_property
    def by_name(self) -> dict[str, Trial]:
        """Trials by name."""
        return {trial.name: trial for trial in self.trials}

    @property
    def num_evaluations(self) -> int:
        """Evaluations that could have become the champion, by luck too: members, and changes judged apart."""
        if self.promotion is not None:
            return int(self.promotion["trials"])
        return self.evaluations

    @property
    def champion_trial(self) -> Trial | None:
        """The champion's trial; None before the first generation is done."""
        return self.by_name.get(self.champion)

    @cached_property
    def architectures(self) -> dict[str, int]:
        """Number of each architecture, from 1, in the order of appearance."""
        return {name: place for place, name in enumerate(dict.fromkeys(t.architecture for t in self.trials), start=1)}

    def generation(self, number: int) -> list[Trial]:
        """Return the trials of a generation that were trained."""
        return [trial for trial in self.trained if trial.generation == number]

    def count_architectures(self, number: int) -> Counter[str]:
        """Return how many of the trained trials of a generation have each architecture."""
        return Counter(trial.architecture for trial in self.generation(number))

    def fittest(self, count: int) -> list[Trial]:
        """Return the fittest trials, the champion first."""
        return sorted(self.trained, key=lambda trial: (trial.name != self.champion, -trial.total))[:count]

    def x_positions(self) -> FloatArray:
        """Return the x of each trial, (trials,): its generation, spread a little in the order of the trials."""
        seen: Counter[int] = Counter()
        size = Counter(trial.generation for trial in self.trials)
        x_positions = []
        for trial in self.trials:
            share = (seen[trial.generation] + 0.5) / size[trial.generation] - 0.5
            x_positions.append(trial.generation + 0.5 * share)
            seen[trial.generation] += 1
        return np.array(x_positions)
