"""How much of a known optimum does the real pipeline learn?

Each run is `run_training.py +experiment=market_a4` (or the experiment named) on the named market: 8,000 training bars
of one path. The last model trades at least 45,000 bars it never saw; `fr` is its score over the optimal policy's on
the same bars, both mean(target_t * r_{t+1} - cost * |target_t - target_{t-1}|). On C, where the optimum is not to
trade, the score in bp a bar and the turnover are shown instead. Seconds are those of training, start-up excluded.
"""

from argparse import ArgumentParser
from pathlib import Path

from benchmarks.common import command_line, run_benchmark, training_session
from benchmarks.learning.known_market import OPTIMUM_IS_FLAT, Exam, config_of
from src.agents.model_file import load_model, model_path
from src.agents.registry import agent_from_file
from src.execution.costs import BPS
from src.training.pipeline import run_sequence
from src.training.training_data import prepare_data

TAKES = "2 min a market and seed"


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)
    parser.add_argument("markets", nargs="+", help="A, A4, B, B2 or C")
    parser.add_argument("--experiment", default="market_a4", help="file in config/experiment")
    return parser


def main(markets: list[str], seeds: list[int], experiment: str, settings: list[str]) -> None:
    """Train and score every market with every seed; print a line each and the worst of each market."""
    settings = [f"+experiment={experiment}", *settings]
    with training_session(settings) as folder:
        for market in markets:
            figures = [_run(market, seed, settings, folder) for seed in seeds]
            worst = max(figures) if market in OPTIMUM_IS_FLAT else min(figures)
            print(f"{market:3s} worst of {len(figures)}: {worst:.3f}", flush=True)


def _run(market: str, seed: int, settings: list[str], folder: Path) -> float:
    config = config_of(market, seed, settings, folder)
    result = list(run_sequence(config).values())[-1]
    agent = agent_from_file(load_model(model_path(market, list(config.sequence)[-1], folder / "models")))
    exam = Exam(prepare_data(config), market)
    earned, turnover = exam.score(agent)
    if market in OPTIMUM_IS_FLAT:
        figure, shown = turnover, f"score {earned / BPS:+.3f} bp"
    else:
        figure = earned / exam.optimum
        shown = f"{earned / BPS:.2f} of {exam.optimum / BPS:.2f} bp, fr {figure:.3f}"
    seconds, rate = result.train_seconds, result.env_steps / result.train_seconds
    print(
        f"{market:3s} seed {seed}: {shown}, turnover {turnover:.4f}, {seconds:.0f} s, {rate:,.0f} steps/s", flush=True
    )
    return figure


if __name__ == "__main__":
    run_benchmark(parser(), main)
