"""Regularised evolution (Real, Aggarwal, Huang and Le 2019, arXiv 1802.01548): the young replace the old.

A population of the last P evaluations. A child is the mutated winner of a tournament of S; the oldest member dies.

Where we depart from the paper, each measured in `benchmarks/learning/architecture_search.py`: no genome is evaluated
twice; half of the children are a cross of two winners instead of a mutation of one; and the best member does not age,
so an architecture found early is not forgotten. That helps with exact and with mildly noisy evaluations alike; where
noise dominates it would hold on to a lucky one, and `elites=0` is the paper.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from src.nas.search_controller import Evaluation
from src.nas.search_space import Genome, SearchSpace
from src.nas.seen_genomes import UnseenGenomes

_PARENTS = 10  # sets of parents that are tried before a child is drawn at random


class RegularisedEvolution:
    """A `SearchController`.

    Args:
        space: of the genomes.
        rng: owned by the search from now on.
        population: P, and how many genomes are drawn at random to begin with.
        tournament: S, members drawn without replacement, of which the best wins.
        elites: members, the best ones, that do not die of age.
        crossover_frac: share of children with two parents.
        start: genomes asked for before any other; they count as part of the first population.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        population: int = 10,
        tournament: int = 5,
        elites: int = 1,
        crossover_frac: float = 0.5,
        start: Sequence[Genome] = (),
    ) -> None:
        assert 1 <= tournament <= population, f"tournament must lie in [1, {population}], was {tournament}"
        assert 0 <= elites < population, f"elites must lie in [0, {population}), was {elites}"
        self._space, self._rng = space, rng
        self._capacity, self._tournament, self._elites = population, tournament, elites
        self._crossover_frac = crossover_frac
        self._unseen = UnseenGenomes(space, rng)
        self._start = list(start)
        self._founders = population  # genomes still to be drawn before the first child
        self._population: list[Evaluation] = []  # oldest first

    def ask(self, n: int) -> list[Genome]:
        drawn = (self._next() for _ in range(n))
        return [genome for genome in drawn if genome is not None]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            self._unseen.claim(evaluation.genome)
            self._population.append(evaluation)
            if len(self._population) > self._capacity:
                self._bury_the_oldest()

    def state_dict(self) -> dict[str, Any]:
        return {
            "unseen": self._unseen.state_dict(),
            "start": [dict(genome) for genome in self._start],
            "founders": self._founders,
            "population": [member.to_plain() for member in self._population],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._unseen.load_state_dict(state["unseen"])
        self._start, self._founders = list(state["start"]), state["founders"]
        self._population = [Evaluation(**member) for member in state["population"]]

    def _next(self) -> Genome | None:
        while self._start:
            self._founders -= 1
            genome = self._start.pop(0)
            if self._unseen.claim(genome):
                return genome
        if self._founders > 0 or not self._population:
            self._founders -= 1
            return self._unseen.draw(())
        return self._unseen.draw(self._parents() for _ in range(_PARENTS))

    def _parents(self) -> Callable[[], Genome]:
        # How these parents make a child. Equal parents have mutated children, or all would be their copies.
        mother = self._winner()
        if self._rng.random() < self._crossover_frac:
            father = self._winner()
            if father != mother:
                return partial(self._space.crossover, mother, father, self._rng)
        return partial(self._space.mutate, mother, self._rng)

    def _winner(self) -> Genome:
        size = min(self._tournament, len(self._population))
        entrants: list[int] = self._rng.choice(len(self._population), size, replace=False).tolist()
        return max((self._population[entrant] for entrant in entrants), key=_fitness).genome

    def _bury_the_oldest(self) -> None:
        spared = sorted(self._population, key=_fitness, reverse=True)[: self._elites]
        self._population.remove(next(member for member in self._population if member not in spared))


def _fitness(member: Evaluation) -> float:
    return member.fitness
