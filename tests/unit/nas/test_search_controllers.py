"""Every strategy: never the same genome twice, exact resumption, and the known optimum of a toy problem."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from src.errors import DataError
from src.nas.differentiable_search import DifferentiableSearch
from src.nas.genes import Choice, Range
from src.nas.local_search import LocalSearch
from src.nas.random_search import RandomSearch
from src.nas.regularised_evolution import RegularisedEvolution
from src.nas.search_controller import Evaluation, SearchController
from src.nas.search_space import Genome, SearchSpace

Make = Callable[[SearchSpace, np.random.Generator], SearchController]
STRATEGIES: dict[str, Make] = {
    "random": RandomSearch,
    "evolution": RegularisedEvolution,
    "evolution of the paper": partial(RegularisedEvolution, tournament=3, elites=0, crossover_frac=0.0),
    "local": LocalSearch,
    "differentiable": DifferentiableSearch,
}
LEARNING = [name for name in STRATEGIES if name != "random"]
WORDS = SearchSpace([Choice(f"letter_{place}", list("abcd")) for place in range(6)])  # 4096 genomes
MIXED = SearchSpace([Choice("layers", [1, 2, 3, 4])], [Range("lr", 1e-5, 1e-1, is_log=True)])


def letters_right(genome: Genome) -> float:
    """Score a word by its letters that agree with `dacbad`, the one optimum."""
    return float(sum(value == letter for value, letter in zip(genome.values(), "dacbad", strict=True)))


def distance_to_optimum(genome: Genome) -> float:
    """Score by closeness to three layers and a learning rate of 3e-3."""
    return -abs(float(genome["layers"]) - 3.0) - abs(np.log10(float(genome["lr"])) - np.log10(3e-3))


def search(
    controller: SearchController, score: Callable[[Genome], float], budget: int, at_once: int = 1
) -> list[Evaluation]:
    """Spend a budget of evaluations."""
    seen: list[Evaluation] = []
    while len(seen) < budget:
        found = [Evaluation(genome, score(genome)) for genome in controller.ask(min(at_once, budget - len(seen)))]
        if not found:
            break
        controller.tell(found)
        seen += found
    return seen


@pytest.mark.parametrize("name", LEARNING)
@pytest.mark.parametrize("at_once", [1, 4])
def test_finds_the_word_that_random_search_would_not(name: str, at_once: int) -> None:
    for seed in range(3):
        seen = search(STRATEGIES[name](WORDS, np.random.default_rng(seed)), letters_right, 300, at_once)
        assert max(evaluation.fitness for evaluation in seen) == 6.0
    lucky = search(RandomSearch(WORDS, np.random.default_rng(0)), letters_right, 300)
    assert max(evaluation.fitness for evaluation in lucky) < 6.0


@pytest.mark.parametrize("name", LEARNING)
def test_tunes_a_number_beside_a_choice(name: str) -> None:
    for seed in range(3):
        seen = search(STRATEGIES[name](MIXED, np.random.default_rng(seed)), distance_to_optimum, 120)
        best = max(seen, key=lambda evaluation: evaluation.fitness).genome
        assert best["layers"] == 3
        assert 1.5e-3 < float(best["lr"]) < 6e-3


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("at_once", [1, 7])
def test_no_genome_is_proposed_twice_and_a_small_space_is_exhausted(name: str, at_once: int) -> None:
    space = SearchSpace([Choice("a", [1, 2, 3, 4]), Choice("b", [1, 2, 3]), Choice("c", [True, False])])
    controller = STRATEGIES[name](space, np.random.default_rng(1))
    seen = search(controller, lambda genome: float(genome["a"]) + float(genome["b"]), 1_000, at_once)
    assert len(seen) == 24
    assert len({space.genome_id(evaluation.genome) for evaluation in seen}) == 24
    assert controller.ask(3) == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_genomes_evaluated_elsewhere_are_not_proposed(name: str) -> None:
    space = SearchSpace([Choice("a", [1, 2, 3])])
    controller = STRATEGIES[name](space, np.random.default_rng(2))
    controller.tell([Evaluation({"a": 2}, 1.0)])
    assert sorted(genome["a"] for genome in controller.ask(5)) == [1, 3]


@pytest.mark.parametrize("name", STRATEGIES)
def test_resumed_search_goes_on_as_if_never_interrupted(name: str) -> None:
    def make(seed: int) -> SearchController:
        return STRATEGIES[name](MIXED, np.random.default_rng(seed))

    whole, first = make(3), make(3)
    expected = search(whole, distance_to_optimum, 40, at_once=3)
    search(first, distance_to_optimum, 21, at_once=3)
    saved = json.dumps(first.state_dict())
    second = make(99)
    second.load_state_dict(json.loads(saved))
    assert search(second, distance_to_optimum, 19, at_once=3) == expected[21:]


def test_evolution_begins_with_the_genomes_it_was_given() -> None:
    start = [{"layers": 2, "lr": 1e-3}, {"layers": 4, "lr": 1e-4}]
    controller = RegularisedEvolution(MIXED, np.random.default_rng(4), population=4, tournament=2, start=start)
    assert controller.ask(3)[:2] == start


def members(controller: RegularisedEvolution) -> list[Any]:
    """Return the value of gene `a` of each living member."""
    return [member["genome"]["a"] for member in controller.state_dict()["population"]]


def test_the_old_die_and_the_best_is_spared() -> None:
    space = SearchSpace([Choice("a", list(range(9)))])
    ageing = RegularisedEvolution(space, np.random.default_rng(5), population=3, tournament=2, elites=0)
    sparing = RegularisedEvolution(space, np.random.default_rng(5), population=3, tournament=2, elites=1)
    for controller in (ageing, sparing):
        controller.tell([Evaluation({"a": value}, float(-value)) for value in range(5)])
    assert members(ageing) == [2, 3, 4]
    assert members(sparing) == [0, 3, 4]


def test_a_fitness_that_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="fitness must be finite, was nan"):
        Evaluation({"a": 1}, float("nan"))
