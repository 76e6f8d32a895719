"""How fast does each stage of the sequence train, and where does the time go?

Whole iterations of every stage of config/training_sequence.yaml as they are written there, one process, one torch
thread, in turns; the median counts. Account steps are per second of processor time, so that what else the machine does
counts less. Below, one forward and backward pass of a stage's market side (trunk, or experts and gate) and of its heads
on one minibatch, by itself.
"""

import warnings
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.common import command_line, counted, median_rates, run_benchmark, timed, training_session
from src.config.load import load_training_config
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import LearningConfig, MoEStageConfig
from src.config.training import TrainingConfig
from src.models.ppo_model import PPOModel
from src.nas.agent_space import stage_of
from src.training.population.member import MemberSpec, mind_of, model_of
from src.training.population.member_trainer import member_job
from src.training.population.population import start_genome
from src.training.population.shared_market import build_shared_market
from src.training.rllib.algorithm_config import MIXTURE_PARTS, POLICY_PARTS, StageJob, algorithm_config
from src.training.rollout.training_market import TrainingMarket
from src.training.stage import fresh_model
from src.training.training_data import TrainingData, prepare_data

TAKES = "3 min"

SETTINGS = ("runtime.torch_threads=1", "runtime.device=cpu")
TURNS = 3


class Contestant(NamedTuple):
    """One stage."""

    iterate: Callable[[], object]
    steps: int  # account steps of an iteration
    stage: LearningConfig
    model: PPOModel


def parser() -> ArgumentParser:
    """Return the command line."""
    return command_line(__spec__, __doc__, settings=True)


def main(settings: list[str]) -> None:
    """Print one line per stage."""
    warnings.simplefilter("ignore")
    config = load_training_config([*SETTINGS, *settings])
    data = prepare_data(config)
    with training_session([*SETTINGS, *settings]) as folder, ExitStack() as stack:
        contestants = {name: contestant(name, config, data, folder, stack) for name in config.sequence}
        runs = {name: counted(each.iterate, each.steps) for name, each in contestants.items()}
        rates = median_rates(runs, TURNS)
    print(f"{'':16s}{'weights':>9s}{'account steps/s':>17s}{'market ms':>11s}{'heads ms':>10s}")
    for name, each in contestants.items():
        weights = sum(parameter.numel() for parameter in each.model.parameters())
        market, heads = passes(each)
        print(f"{name:16s}{weights:>9,d}{rates[name]:>17,.0f}{1e3 * market:>11.1f}{1e3 * heads:>10.1f}")


def contestant(name: str, config: TrainingConfig, data: TrainingData, folder: Path, stack: ExitStack) -> Contestant:
    """Return a stage ready to be trained; of a population its first agent, with every part of its mind on."""
    work = founder_job if isinstance(config.sequence[name], AutonomousStageConfig) else single_job
    job = work(name, config, data, folder / name)
    algorithm = algorithm_config(job).build_algo()
    stack.callback(algorithm.stop)
    return Contestant(algorithm.train, job.steps_per_iteration, job.stage, job.model)


def single_job(name: str, config: TrainingConfig, data: TrainingData, folder: Path) -> StageJob:
    """Return the work of a stage that trains one model."""
    stage = config.sequence[name]
    parts = MIXTURE_PARTS if isinstance(stage, MoEStageConfig) else POLICY_PARTS
    model = fresh_model(stage, config.model, data)
    TrainingMarket.from_markets(data.training_markets, data.rules, model.history_bars).save(folder)
    return StageJob(
        stage, config.environment, config.runtime, model, folder, seed=0, device=torch.device("cpu"), parts=parts
    )


def founder_job(name: str, config: TrainingConfig, data: TrainingData, folder: Path) -> StageJob:
    """Return the work of the first agent of a population."""
    stage = config.sequence[name]
    assert isinstance(stage, AutonomousStageConfig)
    shared = build_shared_market(config, stage, data)
    genome = start_genome(stage, config.model.core)
    task = MemberSpec("founder", genome, seed=0, parent=None)
    own = stage_of(genome, stage)
    assert isinstance(own, AutonomousStageConfig)
    return member_job(shared, own, model_of(genome, shared, 0), mind_of(genome, shared), task, folder)


def passes(each: Contestant) -> tuple[float, float]:
    """Return the seconds of a pass over the bars of a minibatch, and over the accounts on them."""
    stage, model = each.stage, each.model
    groups, bars = stage.groups // stage.minibatches, stage.horizon
    features = torch.randn(groups, model.context_bars + bars, model.num_features)
    account = torch.randn(groups, bars, stage.accounts // stage.groups, model.num_account_inputs)
    part = model.market_part(model.encode_market(features, context=model.context_bars).detach())

    def market() -> None:
        model.encode_market(features, context=model.context_bars).sum().backward()

    def heads() -> None:
        outputs = model.policy(part.policy[:, :, None].detach(), account).sum()
        (outputs + model.value(part.value[:, :, None].detach(), account).sum()).backward()

    return fastest(market), fastest(heads)


def fastest(work: Callable[[], object]) -> float:
    """Return the least processor time that work takes, in seconds."""
    return min(timed(work)[1].processor for _ in range(TURNS))


if __name__ == "__main__":
    run_benchmark(parser(), main)
