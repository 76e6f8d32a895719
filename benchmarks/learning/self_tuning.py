"""Does a population climb out of a bad learning rate?

`+experiment=market_a4_autonomous` with every founder at 3e-5, where little is learned in time, and more generations. A
learning rate moves by mutation alone, by a factor of three or so, and only those who learned more have children.
Shown for every generation: the learning rates, and the fitness of its best. `fr` is the champion's score over the
optimal policy's. Moonshot: .90. Fixed learning rates of 3e-5, 3e-4, 3e-3 and 3e-2 were measured at -1.25, .475, .902
and .784 with another implementation.
"""

import json
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from benchmarks.common import command_line, run_benchmark, timed, training_session
from benchmarks.learning.known_market import config_of, fraction_of_optimum
from src.agents.model_file import CHAMPION_STAGE, load_model, model_path
from src.nas.search_space import Genome, SearchSpace
from src.training.pipeline import run_sequence

TAKES = "5 min a seed"

LEARNING_RATE, GENERATIONS, MOONSHOT = 3e-5, 8, 0.90
_SETTINGS = (
    "+experiment=market_a4_autonomous",
    f"sequence.stage_4_autonomous.generations={GENERATIONS}",
    "runtime.torch_threads=1",
)


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)


def main(seeds: list[int], settings: list[str]) -> None:
    """Print each generation of each seed, and what the champions are worth."""
    _start_everyone_at(LEARNING_RATE)
    settings = [*_SETTINGS, *settings]
    with training_session(settings) as folder:
        figures = [_run(seed, settings, folder / str(seed)) for seed in seeds]
    print(f"fr {min(figures):.3f} to {max(figures):.3f}, moonshot {MOONSHOT:.2f}")


def _start_everyone_at(lr: float) -> None:
    # The search lives in this process; its founders would cover all learning rates.
    spread = SearchSpace.spread

    def alike(space: SearchSpace, n: int, rng: np.random.Generator) -> list[Genome]:
        return [{**genome, "lr": lr} for genome in spread(space, n, rng)]

    SearchSpace.spread = alike  # type: ignore[method-assign]


def _run(seed: int, settings: list[str], folder: Path) -> float:
    config = config_of("A4", seed, settings, folder)
    _, taken = timed(lambda: run_sequence(config))
    (page,) = folder.glob("runs/*/stage_4_autonomous/population.json")
    for generation, members in enumerate(_generations(json.loads(page.read_text())["records"])):
        rates = ", ".join(f"{member['genome']['lr']:.2g}" for member in members)
        best = max(member["fitness"]["total"] for member in members)
        print(f"    generation {generation + 1}: best fitness {best:8.3f}, learning rates {rates}", flush=True)
    file = load_model(model_path("A4", CHAMPION_STAGE, folder / "models"))
    figure = fraction_of_optimum("A4", file, config)
    print(f"seed {seed}: fr {figure:.3f}, {file.verdict}, {taken.wall:.0f} s", flush=True)
    return figure


def _generations(records: list[dict]) -> list[list[dict]]:
    last = max(record["generation"] for record in records)
    return [[one for one in records if one["generation"] == generation] for generation in range(last + 1)]


if __name__ == "__main__":
    run_benchmark(parser(), main)
