"""Is the transformer as good a trunk as the LSTM that controls it?

Every way to train (PPO, a mixture of experts, MAML) on every trunk, on the same historical bars: the daily indices of
a library, and hourly coins where a folder of them is named. Both trunks have as many parameters and see the same
window. A model is trained on some symbols and trades the test period of the first of them, and the same days of a
symbol that it never saw.

Shown is the mean of simple returns after costs, percent a year, averaged over seeds, and how much the transformer earns
above the LSTM, with the 95 % interval of a paired stationary bootstrap over bars. For MAML also what adaptation adds:
the adapted policy less the same weights left as they are. An interval that holds 0 says that luck could explain it.
"""

import sys
from argparse import ArgumentParser
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common import command_line, run_benchmark, training_session
from src.agents.model_file import ModelFile, load_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.load import load_training_config
from src.config.training import TrainingConfig
from src.evaluation.bootstrap import Interval, bootstrap_interval
from src.market.bars import BarSeries, FloatArray
from src.market.sources import load_bars
from src.seeding import generator
from src.trading.rules import TradingRules
from src.training.pipeline import run_sequence
from src.training.training_data import prepare_data

TAKES = "10 min a seed, 30 with --crypto"

TRUNKS = ("transformer", "lstm")
STAGES = ("stage_1_ppo", "stage_2_moe", "stage_3_maml")
# Small enough for seeds by the dozen.
SETTINGS = (
    "model.core.d_model=16",
    "model.core.num_heads=2",
    "model.core.ff_dim=64",
    "model.core.window=32",
    "model.head_dim=32",
    "runtime.torch_threads=1",
    "tracking.progress=false",
    "tracking.tensorboard=false",
)
STAGE_SETTINGS = (
    "init_from=null",
    "iterations=30",
    "accounts=64",
    "groups=16",
    "minibatches=4",
    "epochs=2",
    "evaluate_every=30",
)


@dataclass(frozen=True)
class Dataset:
    """Bars to learn from, and a symbol that nothing is learned from."""

    name: str
    settings: tuple[str, ...]
    unseen: str


class Traded(NamedTuple):
    """Simple returns per bar, (T,) each, of a model on the symbol it knows and on the unseen one."""

    own: FloatArray
    unseen: FloatArray
    own_plain: FloatArray  # without adaptation
    bars_per_year: float


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__, seeds=(0, 1, 2), settings=True)
    parser.add_argument("--crypto", type=Path, metavar="FOLDER", help="holds BTCUSDT_1h.parquet and others like it")
    parser.add_argument("--stages", nargs="+", default=STAGES)
    return parser


def main(crypto: Path | None, stages: list[str], seeds: list[int], settings: list[str]) -> None:
    """Train, trade and compare."""
    with training_session(SETTINGS) as folder:
        for dataset in datasets(crypto):
            for stage in stages:
                runs = {
                    trunk: [train_and_trade(dataset, stage, trunk, seed, settings, folder) for seed in seeds]
                    for trunk in TRUNKS
                }
                show(f"{dataset.name}, {stage.split('_')[-1]}", runs)


def datasets(crypto: Path | None) -> list[Dataset]:
    """Return what there is to learn from."""
    indices = Dataset("S&P 500, NASDAQ unseen", ("symbol=SP500",), "NASDAQ")
    if crypto is None:
        return [indices]
    path = f"data.path='{crypto}/{{symbol}}_1h.parquet'"
    coins = ("symbol=BTC/USDT", "symbols=[ETH/USDT]", "data.source=files", path, "data.start='2020-06-01'")
    settings = (*coins, "costs.commission_bps=10")
    return [indices, Dataset("BTC and ETH, LTC unseen", settings, "LTC/USDT")]


def train_and_trade(dataset: Dataset, stage: str, trunk: str, seed: int, settings: list[str], folder: Path) -> Traded:
    """Train a stage by itself and trade what it leaves."""
    config = load_training_config(
        [
            *SETTINGS,
            *dataset.settings,
            f"model.trunk={trunk}",
            f"seed={seed}",
            f"run.runs_dir={folder / 'runs'}",
            f"run.checkpoints_dir={folder / 'models'}",
            *(f"sequence.{other}=null" for other in (*STAGES, "stage_4_autonomous") if other != stage),
            *(f"sequence.{stage}.{setting}" for setting in STAGE_SETTINGS),
            *settings,
        ]
    )
    (result,) = run_sequence(config).values()
    print(f"  {stage} {trunk} seed {seed}: {result.env_steps / result.train_seconds:,.0f} account steps/s", flush=True)
    return traded(config, load_model(result.model_path), dataset.unseen)


def traded(config: TrainingConfig, file: ModelFile, unseen: str) -> Traded:
    """Trade the test split of the symbol the model knows, and the same days of another."""
    data = prepare_data(config)
    rows = data.splits.test
    other = load_bars(unseen, config.data, config.seed)
    first, last = data.bars.close_time[rows.start], data.bars.close_time[rows.stop - 1]
    begin, end = np.searchsorted(other.close_time, [first, last + 1])
    return Traded(
        returns(file, data.bars, rows),
        returns(file, other, range(int(begin), int(end))),
        returns(left_as_it_is(file), data.bars, rows),
        data.bars.bars_per_year,
    )


def left_as_it_is(file: ModelFile) -> ModelFile:
    """Return the same policy without its inner loop."""
    model = {name: value for name, value in file.model.items() if name != "adaptation"}
    weights = {name: value for name, value in file.weights.items() if name != "log_inner_lr"}
    return replace(file, kind="ppo" if file.kind == "maml" else file.kind, model=model, weights=weights)


def returns(file: ModelFile, bars: BarSeries, rows: range) -> FloatArray:
    """Return the simple returns per bar of an account that the model trades."""
    equity = run_backtest(agent_from_file(file), bars, TradingRules.from_plain(file.rules), rows).records.equity
    grown: FloatArray = np.diff(equity) / equity[:-1]
    return grown


def show(title: str, runs: dict[str, list[Traded]]) -> None:
    """Print how the trunks compare."""
    print(title)
    for place in ("own", "unseen"):
        means = {trunk: np.mean([getattr(one, place) for one in own], axis=0) for trunk, own in runs.items()}
        year = runs["transformer"][0].bars_per_year
        less = above_zero(means["transformer"] - means["lstm"], year)
        shown = ", ".join(f"{trunk} {100 * year * mean.mean():+.1f}" for trunk, mean in means.items())
        print(f"  {'its own' if place == 'own' else 'unseen'} symbol: {shown}; difference {interval(less)} % a year")
    if title.endswith("maml"):
        for trunk, own in runs.items():
            gain = np.mean([one.own - one.own_plain for one in own], axis=0)
            print(f"  what adaptation adds, {trunk}: {interval(above_zero(gain, own[0].bars_per_year))} % a year")
    sys.stdout.flush()


def above_zero(difference: FloatArray, year: float) -> Interval:
    """Return the yearly mean of a difference of returns (T,), in percent, with its interval."""
    return bootstrap_interval(
        (difference,), lambda sample: 100 * year * sample.mean(axis=-1), generator(0, "trunks", "bootstrap")
    )


def interval(found: Interval) -> str:
    """Write an interval."""
    return f"{found.estimate:+.1f} ({found.low:+.1f} to {found.high:+.1f})"


if __name__ == "__main__":
    run_benchmark(parser(), main)
