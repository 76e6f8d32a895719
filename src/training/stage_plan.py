"""What training a stage would take, from playing and learning a little here and now, without Ray.

Seconds are those of one quiet core: of processor time, so that they hold on a busy machine too. They are estimates, and
tell best how long stages take beside each other; `RunProgress` corrects them by what the first ones took.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from src.backtesting.environment import TradingVectorEnv
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import Advantages, LearningConfig, PPOStageConfig, Sampling
from src.config.training import TrainingConfig
from src.models.flat_bars import FlatBars, flat_bars
from src.models.ppo_model import PPOModel
from src.training.population.reasoning_networks import PATTERNS, REGIMES, untrained_networks
from src.training.rllib.ray_runtime import resolve_device
from src.training.rllib.reference_env import series_market
from src.training.rllib.rl_module import ACCOUNT, MASK, START
from src.training.rollout.chunk_sampler import ChunkSampler
from src.training.rollout.group_rollout import GroupRollout
from src.training.rollout.training_market import TrainingMarket
from src.training.stage import StageInputs, StagePlan, fresh_model

_BACKWARD_FACTOR = 3  # activations, gradients and the optimiser's moments beside a forward pass
_WINDOWS_TIMED = 128  # of a minibatch of the reference path
_GRADIENT_FACTOR = 1.5  # what the backward pass needs beside what the forward pass kept
_OBSERVATION_COPIES = 6  # steps, episodes, batches, and what is put together on the way


# Steps of a stage, as its trainer tells them.
LEARNER, ITERATION = "building the learner", "iteration"
MARKET, WORKERS, MEMBER, CHAMPION = "looking at the market", "starting workers", "member", "judging the champion"
_FIXED_SECONDS = {LEARNER: 2.0, MARKET: 6.0, WORKERS: 12.0, CHAMPION: 2.0}
_STEP_SECONDS = {REGIMES: 0.03, PATTERNS: 0.032}  # with the settings of config/training_sequence.yaml


def plan_policy(inputs: StageInputs, overhead: float) -> StagePlan:
    """Return what training one policy would take.

    Args:
        overhead: how much longer a stage takes than what is timed of it, for validation, RLlib and the rest of its
            losses.
    """
    stage: LearningConfig = inputs.stage
    plan, seconds = _timed(inputs, fresh_model(stage, inputs.config.model, inputs.data))
    return replace(plan, steps=_fixed(LEARNER) | {ITERATION: stage.iterations * seconds * overhead})


def plan_population(inputs: StageInputs, overhead: float) -> StagePlan:
    """Return what breeding a population would take. A member is timed as a policy on the features alone.

    Args:
        overhead: how much longer a member takes than that, for its world model, its judgement and its adaptation.
    """
    stage: AutonomousStageConfig = inputs.stage
    turns = -(-stage.members // stage.workers) * stage.generations  # how often a worker trains a member
    plan, seconds = _timed(inputs, fresh_model(PPOStageConfig(), inputs.config.model, inputs.data))
    networks = {name: count * _STEP_SECONDS[name] for name, count in untrained_networks(stage).items()}
    training = {MEMBER: turns * stage.iterations * seconds * overhead}
    remarks = [f"for each of {stage.members} members in {stage.generations} generations; judged besides"]
    if networks:
        remarks.append(f"and, once, training its reasoning networks: {sum(networks.values()):.0f} s on a quiet core")
    return replace(plan, steps=networks | _fixed(MARKET, WORKERS) | training | _fixed(CHAMPION), remarks=remarks)


def _fixed(*names: str) -> dict[str, float]:
    return {name: _FIXED_SECONDS[name] for name in names}


def _timed(inputs: StageInputs, model: PPOModel) -> tuple[StagePlan, float]:
    # The plan without its steps, and the seconds of an iteration.
    stage, runtime = inputs.stage, inputs.config.runtime
    with _on_one_core():
        seconds, size = _one_iteration(inputs, model.to(resolve_device(runtime)))
    steps = stage.account_steps(model.num_outputs) * max(1, runtime.num_env_runners)
    how = "PPO by stock RLlib" if stage.sampling is Sampling.reference else stage.algorithm
    work = f"{how}, {stage.iterations} iterations of {steps:,} account steps"
    weights = sum(parameter.numel() for parameter in model.parameters())
    return StagePlan(work, {}, memory_bytes=size, weights=weights), seconds


@contextmanager
def _on_one_core() -> Iterator[None]:
    # What is trained afterwards draws the same numbers as if nothing had been timed.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)


def _one_iteration(inputs: StageInputs, model: PPOModel) -> tuple[float, float]:
    """Return the seconds an iteration takes and the bytes its batch and gradients need."""
    config, stage = inputs.config, inputs.stage
    device = resolve_device(config.runtime)
    market = TrainingMarket.from_markets(inputs.markets, inputs.data.rules, model.history_bars)
    if stage.sampling is Sampling.reference:
        return _one_reference_iteration(config, stage, market, model, device)
    play = _player(market, stage, config, model, device)
    play(0)  # tables are built once, on first use
    started = time.process_time()
    batch = play(1)
    played = time.process_time()
    _learn(model, flat_bars(market.features, market.tape, market.rules, device), batch, stage)
    learned = (time.process_time() - played) * stage.minibatches * stage.epochs
    size = sum(column.numel() * column.element_size() for column in batch.values())
    return played - started + learned, float(size * (1 + _BACKWARD_FACTOR * stage.groups // stage.minibatches))


def _one_reference_iteration(
    config: TrainingConfig, stage: LearningConfig, market: TrainingMarket, model: PPOModel, device: torch.device
) -> tuple[float, float]:
    series, accounts = series_market(market, market.spans[0]), stage.accounts
    env = TradingVectorEnv(series, market.rules, model.context_bars + 1, config.environment.episode_bars, accounts)
    observation, _ = env.reset(seed=0)
    action = env.action_space.sample()

    def outputs(rows: int) -> Tensor:
        repeated = [np.resize(column, (rows, *column.shape[1:])) for column in observation.values()]
        window, account = (torch.from_numpy(column).to(device) for column in repeated)
        part = model.market_part(model.encode_market(window, context=model.context_bars)[:, 0])
        return model.policy(part.policy, account).sum() + model.value(part.value, account).sum()

    def play() -> None:
        with torch.no_grad():
            outputs(accounts)
        env.step(action)

    windows = accounts * (stage.horizon + 1)  # RLlib adds one to each episode it cuts
    rows = min(windows // stage.minibatches, _WINDOWS_TIMED)
    saved = _saved_bytes(lambda: outputs(rows).backward())
    play()  # what is built on first use has now been built
    played = _seconds(play) * (2 * stage.horizon + 1)  # each window is looked at once more, for its value
    learned = _seconds(lambda: outputs(rows).backward()) * stage.epochs * windows / rows
    activations = _GRADIENT_FACTOR * saved * windows / stage.minibatches / rows
    observations = _OBSERVATION_COPIES * windows * (model.context_bars + 1) * model.num_features * 4
    return played + learned, activations + observations


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _saved_bytes(work: Callable[[], object]) -> float:
    """Return the size of what a forward pass keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        work()
    return float(sum(sizes.values()))


def _player(
    market: TrainingMarket, stage: LearningConfig, config: TrainingConfig, model: PPOModel, device: torch.device
) -> Callable[[int], dict[str, Tensor]]:
    """Return what plays an iteration and returns the columns learned from."""
    if stage.advantages is Advantages.all_action:
        sampler = ChunkSampler(market, stage, seed=0, worker=0)
        positions = torch.zeros(stage.groups, stage.horizon + 1, model.num_outputs, 1, device=device)
        return lambda iteration: {
            **{name: column.to(device) for name, column in sampler.draw(iteration, model.trunk_dim)._asdict().items()},
            ACCOUNT: positions,
        }
    rollout = GroupRollout(market, stage, config.environment, seed=0, worker=0, device=device)
    return lambda iteration: rollout.collect(model, iteration)[0]._asdict()


def _learn(model: PPOModel, bars: FlatBars, batch: dict[str, Tensor], stage: LearningConfig) -> None:
    """One forward and backward pass over a minibatch: what the learner spends its time on."""
    rows = slice(0, stage.groups // stage.minibatches)
    account = batch[ACCOUNT][rows]
    policy, embedding = model.on_chunks(bars, batch[START][rows], account.shape[1], batch[MASK][rows])
    part = policy.market_part(embedding)
    values = policy.value(part.value[:, :, None], account)
    outputs = policy.policy(part.policy[:, :, None], account).sum() + values.sum()
    outputs.backward()
