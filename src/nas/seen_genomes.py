"""`UnseenGenomes`: which genomes a search has proposed or been told of, so that none is evaluated twice."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from src.nas.search_space import Genome, SearchSpace

_PATIENCE = 20  # proposals in a row that may be known before another way is taken


class UnseenGenomes:
    """Draws genomes and lets each through once."""

    def __init__(self, space: SearchSpace, rng: np.random.Generator) -> None:
        self._space, self._rng = space, rng
        self._known: set[str] = set()

    def claim(self, genome: Genome) -> bool:
        """Mark a genome as known; return whether it was new."""
        name = self._space.genome_id(genome)
        is_new = name not in self._known
        self._known.add(name)
        return is_new

    def draw(self, proposals: Iterable[Callable[[], Genome]]) -> Genome | None:
        """Return the first new genome the proposals give, each tried many times; at last any new one.

        None when the space is exhausted.
        """
        for propose in proposals:
            for _ in range(_PATIENCE):
                genome = propose()
                if self.claim(genome):
                    return genome
        while self._space.size is None or len(self._known) < self._space.size:
            genome = self._space.sample(self._rng)
            if self.claim(genome):
                return genome
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the known genomes and the generator, as plain data."""
        return {"known": sorted(self._known), "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._known = set(state["known"])
        self._rng.bit_generator.state = state["rng"]
