"""Random search, the control every other strategy must beat (Bergstra and Bengio, JMLR 13, 2012)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.nas.search_controller import Evaluation
from src.nas.search_space import Genome, SearchSpace
from src.nas.seen_genomes import UnseenGenomes


class RandomSearch:
    """A `SearchController` that learns nothing."""

    def __init__(self, space: SearchSpace, rng: np.random.Generator) -> None:
        self._unseen = UnseenGenomes(space, rng)

    def ask(self, n: int) -> list[Genome]:
        drawn = (self._unseen.draw(()) for _ in range(n))
        return [genome for genome in drawn if genome is not None]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            self._unseen.claim(evaluation.genome)

    def state_dict(self) -> dict[str, Any]:
        return self._unseen.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._unseen.load_state_dict(state)
