"""Local search: climb to a better neighbour until there is none, then start again elsewhere.

White, Nolen and Savani, "Exploring the Loss Landscape in Neural Architecture Search" (2021, arXiv 2005.02960), in the
first-improvement form. Strong where evaluations are exact; where they are noisy it climbs noise.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.nas.search_controller import Evaluation
from src.nas.search_space import Genome, SearchSpace
from src.nas.seen_genomes import UnseenGenomes


class LocalSearch:
    """A `SearchController`. Asked for several genomes at once it tries several neighbours at once."""

    def __init__(self, space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome] = ()) -> None:
        self._space, self._rng = space, rng
        self._unseen = UnseenGenomes(space, rng)
        self._start = list(start)
        self._centre: Evaluation | None = None  # where the climb stands; None until a new start is evaluated
        self._untried: list[Genome] = []  # its neighbours, in the order they will be tried
        self._awaited: list[str] = []  # neighbours whose results are still to come

    def ask(self, n: int) -> list[Genome]:
        drawn = (self._next() for _ in range(n))
        return [genome for genome in drawn if genome is not None]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            self._unseen.claim(evaluation.genome)
            name = self._space.genome_id(evaluation.genome)
            if name in self._awaited:
                self._awaited.remove(name)
            if self._centre is None or evaluation.fitness > self._centre.fitness:
                self._move_to(evaluation)

    def state_dict(self) -> dict[str, Any]:
        return {
            "unseen": self._unseen.state_dict(),
            "start": [dict(genome) for genome in self._start],
            "centre": None if self._centre is None else self._centre.to_plain(),
            "untried": [dict(genome) for genome in self._untried],
            "awaited": list(self._awaited),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._unseen.load_state_dict(state["unseen"])
        self._start, self._untried, self._awaited = list(state["start"]), list(state["untried"]), list(state["awaited"])
        self._centre = None if state["centre"] is None else Evaluation(**state["centre"])

    def _next(self) -> Genome | None:
        while self._untried:
            genome = self._untried.pop()
            if self._unseen.claim(genome):
                self._awaited.append(self._space.genome_id(genome))
                return genome
        if not self._awaited:
            self._centre = None  # a summit: forget it, or no start elsewhere could ever be climbed from
        while self._start:
            genome = self._start.pop(0)
            if self._unseen.claim(genome):
                return genome
        return self._unseen.draw(())

    def _move_to(self, evaluation: Evaluation) -> None:
        self._centre = evaluation
        self._untried = list(self._space.neighbours(evaluation.genome))
        self._rng.shuffle(self._untried)
