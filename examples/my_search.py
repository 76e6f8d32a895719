"""A search strategy of your own: whoever is best so far is tried again with one gene changed.

    python run_training.py "plugins=[examples.my_search]" sequence.stage_4_autonomous.controller=best_mutated

The simplest evolution there is, a (1+λ) strategy (Rechenberg 1973). docs/howto/own_search.md explains every part.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.nas.search_controller import Evaluation
from src.nas.search_space import Genome, SearchSpace
from src.nas.seen_genomes import UnseenGenomes
from src.nas.strategies import SearchSettings, SearchStrategy


class BestMutated:
    """A `SearchController`: ask it for genomes, tell it how fit they were."""

    def __init__(self, space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome]) -> None:
        self._space, self._rng, self._start = space, rng, list(start)
        self._unseen = UnseenGenomes(space, rng)  # lets no genome through twice
        self._best: Evaluation | None = None

    def ask(self, n: int) -> list[Genome]:
        """Return up to n genomes: those it was given to start with, then children of the best."""
        drawn = (self._unseen.draw([self._child]) for _ in range(n))
        return [genome for genome in drawn if genome is not None]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Remember the best."""
        known = [] if self._best is None else [self._best]
        self._best = max([*known, *evaluations], key=lambda evaluation: evaluation.fitness, default=None)

    def state_dict(self) -> dict[str, Any]:
        """Return plain data from which a killed run goes on exactly."""
        best = None if self._best is None else self._best.to_plain()
        return {"unseen": self._unseen.state_dict(), "start": [dict(genome) for genome in self._start], "best": best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._unseen.load_state_dict(state["unseen"])
        self._start = list(state["start"])
        self._best = None if state["best"] is None else Evaluation(**state["best"])

    def _child(self) -> Genome:
        if self._start:
            return self._start.pop(0)
        return self._space.sample(self._rng) if self._best is None else self._space.mutate(self._best.genome, self._rng)


def make(
    space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome], settings: SearchSettings
) -> BestMutated:
    """Build one for the search of a population."""
    return BestMutated(space, rng, start)


# Found because it is a SearchStrategy at the top level of a module named under `plugins`.
BEST_MUTATED = SearchStrategy("best_mutated", make)
