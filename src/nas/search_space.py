"""`SearchSpace`: genomes as plain data, and how new ones are made from old ones.

A genome maps the name of every gene to one of its values, so whatever is sampled, mutated or crossed is valid by
construction: no combination is forbidden. Genes fall into two groups, those of the architecture, which decide the
shapes of weights, and hyperparameters of training, which do not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from src.errors import ConfigError
from src.nas.genes import Gene, Value

Genome = Mapping[str, Value]


class SearchSpace:
    """All genomes over some genes.

    Raises:
        ConfigError: two genes share a name.
    """

    def __init__(self, architecture: Sequence[Gene], hyperparameters: Sequence[Gene] = ()) -> None:
        genes = [*architecture, *hyperparameters]
        self.genes = {gene.name: gene for gene in genes}
        if len(self.genes) != len(genes):
            raise ConfigError(f"gene names must differ, were {', '.join(gene.name for gene in genes)}")
        self._architecture = sorted(gene.name for gene in architecture)
        self._all = sorted(self.genes)

    @property
    def size(self) -> int | None:
        """How many genomes there are; None for a continuum."""
        counts = [gene.count for gene in self.genes.values()]
        return None if None in counts else prod(count for count in counts if count is not None)

    def sample(self, rng: np.random.Generator) -> Genome:
        """Draw every gene by itself."""
        return {name: gene.sample(rng) for name, gene in self.genes.items()}

    def spread(self, n: int, rng: np.random.Generator) -> list[Genome]:
        """Draw n genomes that cover the values of every gene evenly (Latin hypercube; McKay, Beckman, Conover 1979)."""
        columns = {name: gene.spread(n, rng) for name, gene in self.genes.items()}
        return [{name: column[place] for name, column in columns.items()} for place in range(n)]

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Genome:
        """Change one gene to another of its values."""
        able = [name for name, gene in self.genes.items() if gene.count != 1]
        name = able[rng.integers(len(able))]
        return {**genome, name: self.genes[name].mutate(genome[name], rng)}

    def crossover(self, one: Genome, other: Genome, rng: np.random.Generator) -> Genome:
        """Take each gene from either parent with equal probability."""
        return {name: (one if rng.random() < 0.5 else other)[name] for name in self.genes}

    def neighbours(self, genome: Genome) -> list[Genome]:
        """Return every genome that differs in one gene by one step."""
        return [{**genome, name: value} for name, gene in self.genes.items() for value in gene.neighbours(genome[name])]

    def check(self, genome: Genome) -> None:
        """Raise `ConfigError` if this is not a genome of the space, as after reading it from a file."""
        odd = sorted(set(genome) ^ set(self.genes))
        if odd:
            raise ConfigError(f"genome has missing or unknown genes: {', '.join(odd)}; it is of another search space")
        for name, gene in self.genes.items():
            gene.check(genome[name])

    def arch_id(self, genome: Genome) -> str:
        """Return a name for the architecture, equal in every process: twelve hexadecimal digits."""
        return _digest(genome, self._architecture)

    def genome_id(self, genome: Genome) -> str:
        """Return a name for architecture and hyperparameters together, equal in every process."""
        return _digest(genome, self._all)


def _digest(genome: Genome, names: Sequence[str]) -> str:
    text = json.dumps([(name, genome[name]) for name in names])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
