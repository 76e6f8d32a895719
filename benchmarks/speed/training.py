"""How fast does PPO train from end to end?

Sampling, learning and weight sync, whole iterations, everything in one process with one torch thread. The policy is the
transformer: 2 layers of width 64, a window of 64 bars, the standard features, 4 epochs of 4 minibatches.

- encode once: 1,024 accounts in 16 groups, 128 bars an iteration, as `sampling: encode_once` trains.
- stock RLlib: the same stage with `sampling: reference` and fewer accounts, so that an iteration takes seconds.
- stable-baselines3: its PPO with its MLP policy (64, 64) on the same environments, the common way to train a trader.

Steps are account steps per second of processor time, so that what else the machine does counts less. Contestants take
turns; the median counts, and ratios are to stock RLlib. Distinct bars are the market's part of it: in a group, all
accounts see the same bars.
"""

import warnings
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.common import command_line, counted, median_rates, run_benchmark, training_session
from src.backtesting.environment import TradingEnv
from src.config.load import load_training_config
from src.config.stages.learning import PPOStageConfig, Sampling
from src.config.training import TrainingConfig
from src.training.rllib.algorithm import GroupPPO
from src.training.rllib.algorithm_config import POLICY_PARTS, StageJob, algorithm_config
from src.training.rllib.reference import ReferencePPO
from src.training.rollout.training_market import TrainingMarket
from src.training.stage import fresh_model
from src.training.training_data import TrainingData, prepare_data

TAKES = "10 min"

SETTINGS = (
    "symbol=A4",
    "data.source=synthetic",
    "data.synthetic.bars=15000",
    "model.core.d_model=64",
    "model.core.ff_dim=256",
    "runtime.torch_threads=1",
    "runtime.device=cpu",
)
ACCOUNTS, GROUPS, HORIZON, STOCK_ACCOUNTS = 1024, 16, 128, 16
PER_TURN = {"encode once": 3}  # iterations; one of the others
TURNS = 3


class Contestant(NamedTuple):
    """One way to train."""

    iterate: Callable[[], object]
    steps: int  # account steps of an iteration
    bars: int  # distinct bars of an iteration, at most


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__)


def main() -> None:
    """Print one line per contestant."""
    warnings.simplefilter("ignore")
    config = load_training_config(SETTINGS)
    data = prepare_data(config)
    with training_session(SETTINGS) as folder, ExitStack() as stack:
        contestants = {
            "encode once": ours(config, data, folder, stack),
            "stock RLlib": stock(config, data, folder, stack),
            "stable-baselines3, MLP": stable_baselines(config, data),
        }
        runs = {name: counted(each.iterate, each.steps) for name, each in contestants.items()}
        rates = median_rates(runs, TURNS, PER_TURN)
    print(f"\n{'':28s}{'accounts':>9s}{'account steps/s':>17s}{'ratio':>8s}{'distinct bars/s':>17s}")
    for name, contestant in contestants.items():
        rate, accounts = rates[name], contestant.steps // HORIZON
        print(f"{name:28s}{accounts:>9,d}{rate:>17,.0f}{rate / rates['stock RLlib']:>7.1f}x", end="")
        print(f"{rate * contestant.bars / contestant.steps:>17,.0f}")


def stage_of(accounts: int, groups: int, sampling: Sampling) -> PPOStageConfig:
    """Return the stage all contestants train; iterations only stretch the fall of the learning rate."""
    return PPOStageConfig(
        iterations=100, accounts=accounts, groups=groups, horizon=HORIZON, epochs=4, minibatches=4, sampling=sampling
    )


def ours(config: TrainingConfig, data: TrainingData, folder: Path, stack: ExitStack) -> Contestant:
    """Return the encode-once path."""
    stage = stage_of(ACCOUNTS, GROUPS, Sampling.encode_once)
    algorithm = rllib(config, stage, data, folder, stack)
    return Contestant(algorithm.train, ACCOUNTS * HORIZON, GROUPS * HORIZON)


def stock(config: TrainingConfig, data: TrainingData, folder: Path, stack: ExitStack) -> Contestant:
    """Return the reference path."""
    stage = stage_of(STOCK_ACCOUNTS, GROUPS, Sampling.reference)
    steps = STOCK_ACCOUNTS * HORIZON
    return Contestant(rllib(config, stage, data, folder, stack).train, steps, steps)


def rllib(
    config: TrainingConfig, stage: PPOStageConfig, data: TrainingData, folder: Path, stack: ExitStack, seed: int = 0
) -> GroupPPO | ReferencePPO:
    """Return the algorithm of a stage, whose accounts and minibatches come from the seed; the stack stops it."""
    model = fresh_model(stage, config.model, data)
    market = TrainingMarket.from_markets(data.training_markets, data.rules, model.history_bars)
    market.save(folder)
    job = StageJob(
        stage, config.environment, config.runtime, model, folder, seed, device=torch.device("cpu"), parts=POLICY_PARTS
    )
    algorithm = algorithm_config(job).build_algo()
    stack.callback(algorithm.stop)
    return algorithm


def stable_baselines(config: TrainingConfig, data: TrainingData) -> Contestant:
    """Return stable-baselines3's PPO on as many of our single environments as stock RLlib has."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    window = config.model.core.window
    (market,) = data.training_markets
    market = replace(market, rows=range(market.rows.start + window, market.rows.stop))
    environments = [
        lambda: TradingEnv(market, data.rules, window, config.environment.episode_bars) for _ in range(STOCK_ACCOUNTS)
    ]
    steps = STOCK_ACCOUNTS * HORIZON
    learner = PPO(
        "MultiInputPolicy", DummyVecEnv(environments), n_steps=HORIZON, batch_size=steps // 4, n_epochs=4, device="cpu"
    )

    def iterate() -> None:
        learner.learn(steps)

    return Contestant(iterate, steps, steps)


if __name__ == "__main__":
    run_benchmark(parser(), main)
