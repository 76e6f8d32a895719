"""Which search finds the best architecture for the least?

Every one of 192 small transformers was trained once, in advance, on a pattern task; their validation losses are the
table `architectures.csv`, and an evaluation is a look-up. Each strategy searches many times over: regret is its best
loss after so many evaluations less the best of the table, and a run succeeds if it finds one of the best 1 %. The first
lines are the controls; the indented ones are regularised evolution without one of our departures from the paper.

The noisy table adds normal noise of .05 to every evaluation, a quarter of what separates the best from the best tenth;
a run is then charged the true loss of what looked best.

The differentiable search is its distribution alone: a table has no gradient for a supernet to follow.
"""

import csv
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import command_line, run_benchmark
from src.nas.differentiable_search import DifferentiableSearch
from src.nas.genes import Choice
from src.nas.local_search import LocalSearch
from src.nas.random_search import RandomSearch
from src.nas.regularised_evolution import RegularisedEvolution
from src.nas.search_controller import Evaluation, SearchController
from src.nas.search_space import Genome, SearchSpace
from src.seeding import generator

TAKES = "10 min"

TABLE = Path(__file__).with_name("architectures.csv")
SPACE = SearchSpace(
    [
        Choice("d_model", [12, 24]),
        Choice("num_layers", [1, 2]),
        Choice("num_heads", [1, 4]),
        Choice("ff_ratio", [1, 4]),
        Choice("norm", ["pre", "post"]),
        Choice("position", ["none", "learned", "sinusoidal"]),
        Choice("pooling", ["last", "mean"]),
    ]
)
BUDGETS, RUNS, NOISE = (20, 40, 60), 500, 0.05
Make = Callable[[SearchSpace, np.random.Generator], SearchController]
STRATEGIES: dict[str, Make] = {
    "random": RandomSearch,
    "local search": LocalSearch,
    "differentiable": DifferentiableSearch,
    "regularised evolution": RegularisedEvolution,
    "  tournament of 3": partial(RegularisedEvolution, tournament=3),
    "  without elite": partial(RegularisedEvolution, elites=0),
    "  without crossover": partial(RegularisedEvolution, crossover_frac=0.0),
    "  as in the paper, no repeats": partial(RegularisedEvolution, tournament=3, elites=0, crossover_frac=0.0),
}


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print regret and success of every strategy at every budget."""
    losses = read_table(TABLE)
    for noise in (0.0, NOISE):
        print(
            f"\n{'noise ' + str(noise) if noise else 'exact':32s}" + "".join(f"{f'budget {b}':>18s}" for b in BUDGETS)
        )
        for name, make in STRATEGIES.items():
            print(f"{name:32s}{figures(make, losses, noise)}", flush=True)


def read_table(path: Path) -> dict[str, float]:
    """Return the validation loss by genome id."""
    with path.open(newline="") as file:
        return {SPACE.genome_id(_genome(row)): float(row["validation_loss"]) for row in csv.DictReader(file)}


def _genome(row: dict[str, str]) -> Genome:
    genes = {name: gene for name, gene in SPACE.genes.items() if isinstance(gene, Choice)}
    return {name: next(value for value in gene.values if str(value) == row[name]) for name, gene in genes.items()}


def figures(make: Make, losses: dict[str, float], noise: float) -> str:
    """Return mean regret and the share of runs that find the best 1 %, at every budget."""
    ranked = np.sort(list(losses.values()))
    found = np.array([best_of_run(make, losses, noise, number) for number in range(RUNS)])  # (runs, budgets)
    success = np.searchsorted(ranked, found) / len(ranked) < 0.01
    regret = found.mean(axis=0) - ranked[0]
    return "".join(f"{one:>12.4f} {share:.3f}" for one, share in zip(regret, success.mean(axis=0), strict=True))


def best_of_run(make: Make, losses: dict[str, float], noise: float, number: int) -> list[float]:
    """Return the true loss of what looked best to one search, at every budget."""
    controller = make(SPACE, generator(0, "search", number))
    luck = generator(0, "noise", number)
    seen: list[tuple[float, float]] = []  # as it looked, and as it is
    while len(seen) < max(BUDGETS):
        for genome in controller.ask(1):
            loss = losses[SPACE.genome_id(genome)]
            looked = loss + noise * float(luck.normal())
            seen.append((looked, loss))
            controller.tell([Evaluation(genome, -looked)])
    return [min(seen[:budget])[1] for budget in BUDGETS]


if __name__ == "__main__":
    run_benchmark(parser(), main)
