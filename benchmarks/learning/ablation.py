"""What does each part of the mind add on real data?

The configured agent of the Autonomous stage is trained with all its parts, and with one of them off, everything else
being equal: same seeds, same bars, same number of steps. Shown is the annual Sharpe ratio after costs on the validation
split, over which the seeds are averaged bar by bar, and what the whole agent has more than the one without a part, with
its 95 % interval (stationary bootstrap of the paired returns). A part whose interval includes 0 is not shown to help.
"""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.common import command_line, run_benchmark, training_session
from src.config.load import load_training_config
from src.config.stages.autonomous import AutonomousStageConfig
from src.evaluation.comparison import differences_from_first
from src.evaluation.returns import sharpe
from src.nas.search_space import Genome
from src.seeding import generator, integer_seed
from src.training.population.member import MemberSpec
from src.training.population.member_trainer import MemberTrainer
from src.training.population.population import start_genome
from src.training.population.shared_market import SharedMarket, build_shared_market
from src.training.training_data import prepare_data

TAKES = "8 min a seed, 15 with --crypto"

_INDICES = ("SP500", "NASDAQ")
_WITHOUT: Mapping[str, Genome] = {
    "memory": {"memory_size": 0},
    "regime": {"module_regime": False},
    "pattern": {"module_pattern": False},
    "imagination": {"module_imagination": False},
}
_STAGE = "stage_4_autonomous"


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)
    parser.add_argument(
        "--crypto", type=Path, metavar="FOLDER", help="holds BTCUSDT_1h.parquet; adds BTCUSDT to the markets"
    )
    return parser


def main(crypto: Path | None, seeds: list[int], settings: list[str]) -> None:
    """Train every variant on every market with every seed; print a table a market."""
    markets = {symbol: [f"symbol={symbol}"] for symbol in _INDICES}
    if crypto is not None:
        path = f"data.path='{crypto.resolve()}/{{symbol}}_1h.parquet'"
        markets["BTCUSDT"] = ["+experiment=crypto_1h", "symbol=BTCUSDT", path]
    with training_session(settings) as folder:
        settings = [f"run.runs_dir={folder}", "tracking.progress=false", *settings]
        for symbol, own in markets.items():
            _table(symbol, [*own, *settings], seeds)


def _table(symbol: str, settings: list[str], seeds: list[int]) -> None:
    config = load_training_config(settings)
    stage = config.sequence[_STAGE]
    assert isinstance(stage, AutonomousStageConfig)
    data = prepare_data(config)
    shared = build_shared_market(config, stage, data)
    whole = start_genome(stage, config.model.core)
    returns = {"": _returns(shared, whole, seeds)}
    for part, change in _WITHOUT.items():
        returns[part] = _returns(shared, {**whole, **change}, seeds)
    year = data.bars.bars_per_year
    print(f"{symbol}: {len(returns[''])} validation bars, {len(seeds)} seeds averaged", flush=True)
    print(f"  whole agent          Sharpe {sharpe(returns[''], year) or 0.0:+.2f}", flush=True)
    for part in _WITHOUT:
        lead = differences_from_first([returns[part], returns[""]], year, generator(0, "ablation", symbol, part))[0]
        interval = lead.sharpe
        print(
            f"  without {part:12s} Sharpe {sharpe(returns[part], year) or 0.0:+.2f}; the part adds "
            f"{interval.low:+.2f} to {interval.high:+.2f}{'' if interval.low <= 0 <= interval.high else ' *'}",
            flush=True,
        )


def _returns(shared: SharedMarket, genome: Genome, seeds: list[int]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    # Of a bar, averaged over seeds: what an account split evenly over them earns.
    trainer = MemberTrainer(shared, threads=1)
    born = [trainer.train(MemberSpec(f"s{seed}", genome, integer_seed(seed, "ablation"), None)) for seed in seeds]
    return np.mean([member.returns for member in born], axis=0)


if __name__ == "__main__":
    run_benchmark(parser(), main)
