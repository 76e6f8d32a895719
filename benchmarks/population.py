"""Does breeding find what is there, and nothing where there is nothing?  `python -m benchmarks.population A4 B C`

Each run is `run_training.py +experiment=market_a4_autonomous` on the named market: four members a generation, started
at learning rates drawn evenly by their logarithm. `fr` is the champion's score over the optimal policy's, on the sealed
bars; the verdict is that of its file. `C` stands for a random walk: driftless, and free to trade here, so that nothing
but luck tells trades apart. Bars: champion of A4 at .85 or more in 5 of 5 seeds; at most 1 of 20 random walks promoted;
at least 18 of 20 on A4 with 6,000 sealed bars and on B with 15,000; a run takes at most 90 seconds.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.learning import config_of
from src.agents.model_file import CHAMPION_STAGE, ModelFile, load_model, model_path
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.data import SyntheticConfig
from src.config.training import TrainingConfig
from src.evaluation.promotion import Verdict
from src.execution.costs import BPS
from src.market.sources import load_bars
from src.market.synthetic.known_markets import market_costs, score
from src.market.synthetic.optimal_policy import optimal_targets
from src.trading.rules import TradingRules
from src.training.pipeline import run_sequence
from src.training.rllib.environment_variables import set_environment_variables
from src.training.rllib.ray_runtime import ray_session

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
_EXAM_BARS, _OTHER_PATHS = 50_000, 1_000_000  # what `fr` is measured on


def main(arguments: list[str]) -> int:
    """Breed on every market with every seed; print a line each and how many were promoted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markets", nargs="+", choices=list(_SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the experiment")
    options = parser.parse_args(arguments)
    set_environment_variables()
    with tempfile.TemporaryDirectory() as folder, ray_session(_config("A4", 0, options.set, Path(folder)).runtime):
        for market in options.markets:
            promoted = sum([_run(market, seed, options.set, Path(folder)) for seed in options.seeds])
            print(f"{market}: {promoted} of {len(options.seeds)} champions promoted", flush=True)
    return 0


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
    started = time.perf_counter()
    run_sequence(config)
    seconds = time.perf_counter() - started
    file = load_model(model_path(market, CHAMPION_STAGE, Path(config.run.checkpoints_dir)))
    promotion = file.dossier["promotion"]
    figures = {
        "fr": "-" if market == "C" else f"{fraction_of_optimum(market, file, config):.3f}",
        "lr": f"{file.dossier['genome']['lr']:g}",
        "trials": file.evaluations,
        "deflated": f"{promotion['selection']['deflated_sharpe'] or 0.0:.3f}",
        "sealed": f"{promotion['sealed']['probabilistic_sharpe'] or 0.0:.3f}",
        "seconds": f"{seconds:.0f}",
    }
    shown = ", ".join(f"{name} {value}" for name, value in figures.items())
    print(f"{market:2s} seed {seed}: {file.verdict}; {shown}", flush=True)
    is_promoted = bool(file.verdict == Verdict.promoted.value)
    for reason in () if is_promoted else promotion["reasons"]:
        print(f"    {reason}", flush=True)
    return is_promoted


def fraction_of_optimum(market: str, file: ModelFile, config: TrainingConfig) -> float:
    """Return the champion's score over the optimal policy's, on so many bars of another path that chance is small."""
    data = replace(config.data, synthetic=SyntheticConfig(bars=_EXAM_BARS))
    bars = load_bars(market, data, config.seed + _OTHER_PATHS)
    agent, rules = agent_from_file(file), TradingRules.from_plain(file.rules)
    rows = range(agent.warmup_bars, len(bars))
    closes, cost = bars.close[rows.start : rows.stop], market_costs(market).commission_bps * BPS
    targets = run_backtest(agent, bars, rules, rows).records.target
    return score(targets, closes, cost) / score(optimal_targets(market, bars)[rows.start :], closes, cost)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
