"""What every search strategy answers to: `ask` for genomes worth evaluating, `tell` it how good they were.

The caller evaluates as it likes, in any number at once. It tells results in the order it asked for them where a run
shall be repeatable: strategies remember that order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from src.errors import DataError
from src.nas.search_space import Genome

Preferences = Mapping[str, Sequence[float]]  # by gene a score per value, in the order of the gene, as log-odds


@dataclass(frozen=True)
class Evaluation:
    """A genome and its fitness, higher is better.

    Raises:
        DataError: the fitness is not a finite number.
    """

    genome: Genome
    fitness: float

    def __post_init__(self) -> None:
        if not isfinite(self.fitness):
            raise DataError(f"fitness must be finite, was {self.fitness}; give a failed genome a low one")

    def to_plain(self) -> dict[str, Any]:
        """Return plain data from which `Evaluation(**plain)` is the same again."""
        return {"genome": dict(self.genome), "fitness": self.fitness}


class SearchController(Protocol):
    """A search strategy. It proposes no genome twice in its life, resumed or not."""

    def ask(self, n: int) -> list[Genome]:
        """Return up to n genomes never proposed before; fewer only when the space is exhausted."""

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn from results, of genomes it proposed or of others."""

    def state_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON, that resumes the search exactly."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict` of a search over the same space with the same settings."""


class InformedController(SearchController, Protocol):
    """A search strategy that takes preferences, such as those of a supernet, before or between evaluations."""

    def inform(self, preferences: Preferences) -> None:
        """Add these scores to the log-odds of the values; genes without scores keep theirs."""
