"""Does breeding find what is there, and nothing where there is nothing?

Each run is `run_training.py +experiment=market_a4_autonomous` on the named market: four members a generation, started
at learning rates drawn evenly by their logarithm. `fr` is the champion's score over the optimal policy's, on the sealed
bars; the verdict is that of its file. `C` stands for a random walk: driftless, and free to trade here, so that nothing
but luck tells trades apart. Bars: champion of A4 at .85 or more in 5 of 5 seeds; at most 1 of 20 random walks promoted;
at least 18 of 20 on A4 with 6,000 sealed bars and on B with 15,000; a run takes at most 90 seconds.
"""

from argparse import ArgumentParser
from pathlib import Path

from benchmarks.common import command_line, run_benchmark, timed, training_session
from benchmarks.learning.known_market import config_of, fraction_of_optimum
from src.agents.model_file import CHAMPION_STAGE, load_model, model_path
from src.config.training import TrainingConfig
from src.evaluation.promotion import Verdict
from src.training.pipeline import run_sequence

TAKES = "2 min a market and seed"

_EXPERIMENT = "+experiment=market_a4_autonomous"
_SIZES = {
    # Bars to learn from, to select by and sealed, beside warm-up and embargoes.
    "A4": (8_000, 8_000, 6_000),
    "B": (8_000, 12_000, 15_000),
    "C": (8_000, 8_000, 6_000),
}
_SETTINGS = {
    "B": ["sequence.stage_4_autonomous.search.gamma=[0.995]"],  # its trends last for fifty bars
    "C": ["costs.commission_bps=0"],
}
_WARMUP_BARS, _EMBARGO_BARS = 223, 10


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2, 3, 4), settings=True)
    parser.add_argument("markets", nargs="+", choices=list(_SIZES))
    return parser


def main(markets: list[str], seeds: list[int], settings: list[str]) -> None:
    """Breed on every market with every seed; print a line each and how many were promoted."""
    with training_session([_EXPERIMENT, *settings]) as folder:
        for market in markets:
            promoted = sum([_run(market, seed, settings, folder) for seed in seeds])
            print(f"{market}: {promoted} of {len(seeds)} champions promoted", flush=True)


def _config(market: str, seed: int, settings: list[str], folder: Path) -> TrainingConfig:
    train, selection, sealed = _SIZES[market]
    usable = train + selection + sealed
    sizes = [
        f"data.split.train_frac={train / usable}",
        f"data.split.validation_frac={selection / usable}",
        f"data.synthetic.bars={usable + _WARMUP_BARS + _EMBARGO_BARS}",
    ]
    return config_of(market, seed, [_EXPERIMENT, *sizes, *_SETTINGS.get(market, []), *settings], folder)


def _run(market: str, seed: int, settings: list[str], folder: Path) -> bool:
    config = _config(market, seed, settings, folder)
    _, taken = timed(lambda: run_sequence(config))
    file = load_model(model_path(market, CHAMPION_STAGE, config.run.models_dir))
    promotion = file.dossier["promotion"]
    figures = {
        "fr": "-" if market == "C" else f"{fraction_of_optimum(market, file, config):.3f}",
        "lr": f"{file.dossier['genome']['lr']:g}",
        "trials": file.evaluations,
        "deflated": f"{promotion['selection']['deflated_sharpe'] or 0.0:.3f}",
        "sealed": f"{promotion['sealed']['probabilistic_sharpe'] or 0.0:.3f}",
        "seconds": f"{taken.wall:.0f}",
    }
    shown = ", ".join(f"{name} {value}" for name, value in figures.items())
    print(f"{market:2s} seed {seed}: {file.verdict}; {shown}", flush=True)
    is_promoted = bool(file.verdict == Verdict.promoted.value)
    for reason in () if is_promoted else promotion["reasons"]:
        print(f"    {reason}", flush=True)
    return is_promoted


if __name__ == "__main__":
    run_benchmark(parser(), main)
