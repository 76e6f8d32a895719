"""The distribution that follows the gradient: by hand, by differences, by enumeration, and on a toy problem."""

import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from src.nas.differentiable_search import DifferentiableSearch
from src.nas.genes import Choice, Range
from src.nas.random_search import RandomSearch
from src.nas.search_controller import Evaluation, SearchController
from src.nas.search_space import Genome, SearchSpace

SMALL = SearchSpace([Choice("shape", ["a", "b", "c"]), Choice("gated", [False, True])], [Range("lr", 1e-4, 1e-1, True)])
TALL = SearchSpace([Choice(f"gene_{place}", list(range(5))) for place in range(8)])  # 390,625 genomes


def logits_of(search: DifferentiableSearch) -> dict[str, NDArray[np.float64]]:
    return {name: np.array(logits) for name, logits in search.state_dict()["logits"].items()}


def fresh(space: SearchSpace = SMALL, seed: int = 0, rate: float = 1.0) -> DifferentiableSearch:
    return DifferentiableSearch(space, np.random.default_rng(seed), rate)


def genome(shape: str, gated: bool, lr: float) -> Genome:
    return {"shape": shape, "gated": gated, "lr": lr}


def test_a_step_by_hand() -> None:
    search = fresh(rate=0.5)
    search.inform({"shape": [math.log(2.0), math.log(1.0), math.log(1.0)]})  # likely 1/2, 1/4, 1/4
    told = [
        Evaluation(genome("a", False, 1e-4), 1.0),  # worst of three: two are better, -2/3
        Evaluation(genome("b", True, 1e-4), 5.0),  # best: 2/3
        Evaluation(genome("b", False, 9e-2), 2.0),  # in the middle: 0
    ]
    search.tell(told)
    logits = logits_of(search)
    # shape: -2/3 ([1, 0, 0] - p) + 2/3 ([0, 1, 0] - p) = 2/3 [-1, 1, 0], times the rate
    np.testing.assert_allclose(logits["shape"], [math.log(2.0) - 1 / 3, 1 / 3, 0.0], atol=1e-12)
    np.testing.assert_allclose(logits["gated"], [-1 / 3, 1 / 3], atol=1e-12)
    np.testing.assert_allclose(logits["lr"], 0.0, atol=1e-12)  # both in the lowest stretch: nothing between them
    # A fourth, better than all three: 3/4, from the distribution as it now is, and one stretch of a range.
    before = search.probabilities()
    search.tell([Evaluation(genome("c", True, 9e-2), 7.0)])
    step = 0.5 * 0.75 * (np.array([0.0, 0.0, 1.0]) - before["shape"])
    np.testing.assert_allclose(logits_of(search)["shape"], logits["shape"] + step, atol=1e-12)
    np.testing.assert_allclose(logits_of(search)["lr"], 0.375 * (np.eye(6)[5] - 1 / 6), atol=1e-12)


def test_every_genome_told_once_gives_the_gradient_of_expected_utility() -> None:
    # At even odds each of n genomes has probability 1/n, so the step is n times the derivative of sum p(x) u(x).
    space = SearchSpace([Choice("a", [0, 1, 2]), Choice("b", [0, 1])])
    rng = np.random.default_rng(3)
    genomes = [{"a": a, "b": b} for a in range(3) for b in range(2)]
    fitness = rng.normal(size=len(genomes))
    utility = np.array([(fitness < own).mean() - (fitness > own).mean() for own in fitness])

    def expected(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        pa, pb = np.exp(a) / np.exp(a).sum(), np.exp(b) / np.exp(b).sum()
        return float(sum(pa[g["a"]] * pb[g["b"]] * u for g, u in zip(genomes, utility, strict=True)))

    search = fresh(space)
    search.tell([Evaluation(one, float(own)) for one, own in zip(genomes, fitness, strict=True)])
    for place, (name, size) in enumerate((("a", 3), ("b", 2))):
        slopes = []
        for value in range(size):
            ends = []
            for step in (1e-5, -1e-5):
                at = [np.zeros(3), np.zeros(2)]
                at[place][value] = step
                ends.append(expected(*at))
            slopes.append((ends[0] - ends[1]) / 2e-5)
        np.testing.assert_allclose(logits_of(search)[name], len(genomes) * np.array(slopes), atol=1e-8)


def test_only_the_order_of_fitness_counts() -> None:
    told = [genome("a", False, 1e-3), genome("b", True, 1e-2), genome("c", True, 5e-2)]
    one, other = fresh(), fresh()
    one.tell([Evaluation(own, value) for own, value in zip(told, (-1e6, 0.1, 0.2), strict=True)])
    other.tell([Evaluation(own, value) for own, value in zip(told, (1.0, 2.0, 300.0), strict=True)])
    for name, logits in logits_of(one).items():
        np.testing.assert_array_equal(logits, logits_of(other)[name])


def test_a_result_is_compared_with_what_is_found_by_now() -> None:
    # Thirty early failures are forgotten but for 19: a genome like the ten before it has 9 worse and 10 as good.
    search, own = fresh(), genome("a", False, 1e-3)
    search.tell([Evaluation(genome("b", True, 1e-2), -1.0)] * 30)
    for _ in range(10):
        search.tell([Evaluation(genome("b", True, 1e-2), 1.0)])
    before = logits_of(search)["gated"]
    search.tell([Evaluation(own, 1.0)])
    p = np.exp(before) / np.exp(before).sum()
    np.testing.assert_allclose(logits_of(search)["gated"] - before, 9 / 20 * (np.array([1.0, 0.0]) - p), atol=1e-12)


def test_draws_are_those_of_the_distribution() -> None:
    others = [Choice(f"other_{place}", list(range(10))) for place in range(6)]  # so that next to nothing comes twice
    wide = SearchSpace([Choice("a", ["x", "y", "z"]), *others])
    search = fresh(wide)
    search.inform({"a": [1.0, 0.0, -1.0]})
    drawn = Counter(search.ask(1)[0]["a"] for _ in range(2000))
    expected = np.exp([1.0, 0.0, -1.0]) / np.exp([1.0, 0.0, -1.0]).sum()
    shares = np.array([drawn["x"], drawn["y"], drawn["z"]]) / 2000
    assert (abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / 2000)).all()
    # Asked for together they are spread: of 1000, each value has its share to one genome more or less.
    together = Counter(genome["a"] for genome in search.ask(1000))
    assert all(abs(together[value] - 1000 * share) <= 1 for value, share in zip("xyz", expected, strict=True))


def test_genomes_asked_for_together_cover_a_range() -> None:
    rates = sorted(float(own["lr"]) for own in fresh().ask(6))
    stretches = [int((math.log10(rate) + 4.0) / 3.0 * 6) for rate in rates]  # of [1e-4, 1e-1], by the logarithm
    assert stretches == [0, 1, 2, 3, 4, 5]


def points(own: Genome) -> float:
    """Every gene for itself, the best value being 3."""
    return -float(sum(abs(int(value) - 3) for value in own.values()))


BUDGET = 144


def best_of(search: SearchController, budget: int) -> float:
    best = -math.inf
    for _ in range(budget):
        found = [Evaluation(own, points(own)) for own in search.ask(1)]
        search.tell(found)
        best = max(best, found[0].fitness)
    return best


def test_it_finds_the_optimum_of_a_separable_fitness_that_random_search_would_not() -> None:
    # One gene of eight explains 1/sqrt(8) of a rank's deviation, which is 1/sqrt(3) in [-1, 1]. The best of values
    # 0, 1, 1, 2, 3 away lies 1.4 deviations above their mean, so utility is 0.28 where a gene has it. Its logit then
    # grows by 0.28 p an evaluation, p = e^L / (e^L + 4) being its probability: L = 3 or p = 5/6 after
    # (3 + 4 (1 - e^-3)) / 0.28 = 24 evaluations. The budget is six times that, for ranks are noisy and the slowest of
    # eight genes decides; random search finds the one genome of 390,625 in a run of 2,700.
    for seed in range(4):
        assert best_of(fresh(TALL, seed), BUDGET) == 0.0
    assert all(best_of(RandomSearch(TALL, np.random.default_rng(seed)), BUDGET) < 0.0 for seed in range(4))


def test_where_it_is_sure_it_asks_for_neighbours_of_its_favourite() -> None:
    search = fresh(TALL)
    search.inform({name: [30.0 * (value == 3) for value in range(5)] for name in TALL.genes})
    asked = [search.ask(1)[0] for _ in range(20)]
    assert all(value == 3 for value in asked[0].values())
    strangeness = [sum(value != 3 for value in own.values()) for own in asked[1:]]
    assert max(strangeness) <= 3  # evenly drawn genomes differ in 6.4 of 8
    assert len({TALL.genome_id(own) for own in asked}) == 20


def test_advice_is_where_it_begins_and_fitness_overrules_it() -> None:
    search = fresh(TALL)
    search.inform({"gene_0": [2.0, 0.0, 0.0, 0.0, 0.0]})
    assert search.probabilities()["gene_0"][0] == pytest.approx(math.exp(2) / (math.exp(2) + 4))
    np.testing.assert_allclose(search.probabilities()["gene_1"], 0.2)
    assert best_of(search, BUDGET) == 0.0
    assert search.probabilities()["gene_0"].argmax() == 3


def test_advice_for_other_values_is_an_error_of_ours() -> None:
    with pytest.raises(AssertionError, match="gene_0 has 5 values"):
        fresh(TALL).inform({"gene_0": [1.0]})


def test_it_begins_with_the_genomes_it_was_given() -> None:
    start = [genome("c", True, 1e-2)]
    search = DifferentiableSearch(SMALL, np.random.default_rng(1), start=start)
    assert search.ask(3)[0] == start[0]
    assert start[0] not in search.ask(200)
