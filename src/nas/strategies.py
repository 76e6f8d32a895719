"""Search strategies by name: how each is built for the search of a population."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from src.nas.differentiable_search import DifferentiableSearch
from src.nas.local_search import LocalSearch
from src.nas.random_search import RandomSearch
from src.nas.regularised_evolution import RegularisedEvolution
from src.nas.search_controller import SearchController
from src.nas.search_space import Genome, SearchSpace
from src.plugins import Pluggable, with_plugins


class SearchSettings(NamedTuple):
    """What the settings of a population say to a strategy.

    Attributes:
        members: genomes asked for in a generation.
        survivors: members whose weights are kept, for children to inherit.
        tournament, crossover_frac: of an evolution.
    """

    members: int
    survivors: int
    tournament: int
    crossover_frac: float


class MakeSearch(Protocol):
    """Builds a search over a space; `start` are genomes to propose first, and all draws come from `rng`."""

    def __call__(
        self, space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome], settings: SearchSettings
    ) -> SearchController: ...


@dataclass(frozen=True)
class SearchStrategy(Pluggable):
    """A strategy by name.

    Attributes:
        make: builds one.
        draws_first_generation: whether it spreads its first genomes over the space by itself. Otherwise `start` is a
            whole generation that covers the space evenly, so that even few members hold a sensible learning rate.
    """

    kind: ClassVar[str] = "search strategy"

    make: MakeSearch
    draws_first_generation: bool = False


def _evolution(
    space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome], settings: SearchSettings
) -> SearchController:
    return RegularisedEvolution(
        space,
        rng,
        population=settings.members,
        tournament=settings.tournament,
        crossover_frac=settings.crossover_frac,
        elites=min(settings.survivors, settings.members - 1),
        start=start,
    )


def _random(
    space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome], settings: SearchSettings
) -> SearchController:
    return RandomSearch(space, rng)


def _local(
    space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome], settings: SearchSettings
) -> SearchController:
    return LocalSearch(space, rng, start=start)


def _differentiable(
    space: SearchSpace, rng: np.random.Generator, start: Sequence[Genome], settings: SearchSettings
) -> SearchController:
    return DifferentiableSearch(space, rng, start=start)


_OWN = (
    SearchStrategy("regularised_evolution", _evolution),
    SearchStrategy("random", _random),
    SearchStrategy("local_search", _local),
    SearchStrategy("differentiable", _differentiable, draws_first_generation=True),
)
STRATEGIES: Mapping[str, SearchStrategy] = {strategy.name: strategy for strategy in _OWN}


def known_strategies(plugins: Iterable[str]) -> Mapping[str, SearchStrategy]:
    """Return the strategies there are, by name: the project's and those that plug-ins hold.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    return with_plugins(STRATEGIES, SearchStrategy, plugins)
