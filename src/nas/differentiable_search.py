"""Differentiable search: a distribution over genomes that follows the gradient of expected fitness.

Every gene has logits of its own, and a genome is drawn gene by gene, so that the distribution is

    p(genome) = product over genes g of softmax(logits_g)[value of g]

Told results x_1 ... x_n of utilities u_i, the logits take one step along the score-function estimate of the gradient of
expected utility (Williams 1992), sum_i u_i * grad log p(x_i), which for a value v of gene g is

    sum_i u_i * (1[x_i has v] - softmax(logits_g)[v])

Utilities are ranks, as in natural evolution strategies (Wierstra et al. 2014): the share of the latest results that is
worse, less the share that is better. So the baseline is the median of what the distribution finds by now, no scale of
fitness matters, and one genome that failed altogether does no more harm than one that is merely the worst. Factorised
distributions over architectures in this role: Akimoto et al. 2019 (arXiv 1905.08537).

`inform` takes logits from elsewhere. Those of a supernet are such a distribution too, fitted by the derivative of a
loss where it has one; here it goes on by fitness, which has none.

Where we depart from the papers: no genome is drawn twice, so draws come from the distribution given that they are new,
and where it has next to nothing new a flatter one is tried, which proposes neighbours of what it has settled on. The
steps do not correct for either. The values of a range are intervals of equal length on its scale. Genomes
asked for together are spread over each gene's distribution instead of drawn independently.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.nas.search_controller import Evaluation, Preferences
from src.nas.search_space import Genome, SearchSpace
from src.nas.seen_genomes import UnseenGenomes

_STRETCHES = 6  # of a range
_LATEST = 20  # results that a new one is compared with, itself included; all of those told together at least
_FLATTER = (1.0, 2.0, 4.0, 8.0)  # by what logits are divided, in turn, until something new is drawn


class DifferentiableSearch:
    """An `InformedController`.

    Args:
        space: of the genomes.
        rng: owned by the search from now on.
        rate: of a step: about what the logits of a genome's values gain if it beats all of the latest.
        start: genomes asked for before any other.
    """

    def __init__(
        self, space: SearchSpace, rng: np.random.Generator, rate: float = 1.0, start: Sequence[Genome] = ()
    ) -> None:
        self._space, self._rng, self._rate = space, rng, rate
        self._unseen = UnseenGenomes(space, rng)
        self._start = list(start)
        self._logits = {name: np.zeros(gene.count or _STRETCHES) for name, gene in space.genes.items()}
        self._latest: list[float] = []  # results, the newest last

    def ask(self, n: int) -> list[Genome]:
        genes = len(self._logits)
        spread = [(self._rng.permutation(n) + self._rng.random(n)) / n for _ in range(genes)]
        drawn = (self._next(levels) for levels in np.reshape(spread, (genes, n)).T)
        return [genome for genome in drawn if genome is not None]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        for evaluation in evaluations:
            self._unseen.claim(evaluation.genome)
        results = [evaluation.fitness for evaluation in evaluations]
        self._latest = [*self._latest, *results][-max(_LATEST, len(results)) :]
        utility = _utilities(results, self._latest)
        for name, gene in self._space.genes.items():
            places = np.array([gene.place(evaluation.genome[name]) for evaluation in evaluations])
            logits = self._logits[name]
            has = np.minimum((places * len(logits)).astype(int), len(logits) - 1)
            self._logits[name] = logits + self._rate * utility @ (np.eye(len(logits))[has] - _softmax(logits))

    def inform(self, preferences: Preferences) -> None:
        for name, scores in preferences.items():
            assert len(scores) == len(self._logits[name]), f"{name} has {len(self._logits[name])} values"
            self._logits[name] = self._logits[name] + np.asarray(scores, dtype=np.float64)

    def probabilities(self) -> dict[str, NDArray[np.float64]]:
        """Return the probability of each value, (K,) by gene of K values, in the order of the gene."""
        return {name: _softmax(logits) for name, logits in self._logits.items()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "unseen": self._unseen.state_dict(),
            "start": [dict(genome) for genome in self._start],
            "logits": {name: logits.tolist() for name, logits in self._logits.items()},
            "latest": list(self._latest),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._unseen.load_state_dict(state["unseen"])
        self._start, self._latest = list(state["start"]), list(state["latest"])
        self._logits = {name: np.array(logits) for name, logits in state["logits"].items()}

    def _next(self, levels: NDArray[np.float64]) -> Genome | None:
        while self._start:
            genome = self._start.pop(0)
            if self._unseen.claim(genome):
                return genome
        genome = self._genome(self._distributions(1.0), levels)
        if self._unseen.claim(genome):
            return genome
        return self._unseen.draw(partial(self._drawn, self._distributions(flatness)) for flatness in _FLATTER)

    def _drawn(self, distributions: list[NDArray[np.float64]]) -> Genome:
        return self._genome(distributions, self._rng.random(len(self._logits)))

    def _distributions(self, flatness: float) -> list[NDArray[np.float64]]:
        # By gene how likely its values are up to and with each, from 0 to 1.
        return [np.append(0.0, np.cumsum(_softmax(logits / flatness))) for logits in self._logits.values()]

    def _genome(self, distributions: list[NDArray[np.float64]], levels: NDArray[np.float64]) -> Genome:
        # The values at these levels of the distributions: levels drawn evenly make draws of genomes.
        genes = zip(self._space.genes.items(), distributions, levels, strict=True)
        return {
            name: gene.at(float(np.interp(level, up_to, np.arange(len(up_to)))) / (len(up_to) - 1))
            for (name, gene), up_to, level in genes
        }


def _utilities(results: Sequence[float], latest: Sequence[float]) -> NDArray[np.float64]:
    difference = np.asarray(results)[:, None] - np.asarray(latest)
    utilities: NDArray[np.float64] = np.sign(difference).mean(axis=1)
    return utilities


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max())
    likely: NDArray[np.float64] = raised / raised.sum()
    return likely
