"""One member of a population: born from a genome and a parent's weights, trained by RLlib, judged by backtests.

What comes out depends on the task and the shared market alone, not on the process it ran in, nor on the members before.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner import Learner
from torch import Tensor

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.kinds import KINDS
from src.agents.mind import Mind
from src.agents.policy_agent import is_symmetric
from src.backtesting.engine import BacktestResult, run_backtest
from src.config.autonomous import AutonomousStageConfig
from src.config.schema import ActionKind
from src.evaluation.fitness import Judged, fitness
from src.evaluation.returns import Performance, performance, simple_returns
from src.models.inheritance import inherit
from src.models.ppo_model import PPOModel
from src.models.world_model import TransformerWorldModel, WorldInputs, build_world_model
from src.nas.agent_space import architecture_of, stage_of
from src.nas.search_space import Genome
from src.seeding import integer_seed
from src.trading.rules import TradingRules
from src.training.algorithm import GroupPPO
from src.training.base_learner import EncodeOnceLearner
from src.training.curves import training_metrics
from src.training.ray_runtime import resolve_device
from src.training.rllib_config import StageJob, algorithm_config
from src.training.shared_market import KnownMind, Series, SharedMarket
from src.training.training_market import TrainingMarket
from src.training.world_learner import flat_targets, save_targets

_CURVES = ("losses/entropy", "losses/approx_kl", "losses/explained_variance", "rollout/reward", "world/loss")

IMAGINATION = "imagination"  # the module gene that is part of the network rather than of the mind


@dataclass(frozen=True)
class Parent:
    """Whose weights a member begins with.

    Attributes:
        kind: of its model.
        description: `describe` of its model.
    """

    name: str
    kind: str
    description: Mapping[str, Any]
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Task:
    """A member to train.

    Attributes:
        seed: of its initial weights, its accounts and its minibatches.
        stressed: further series to learn from.
    """

    name: str
    genome: Genome
    seed: int
    parent: Parent | None
    stressed: tuple[Series, ...] = ()


@dataclass(frozen=True)
class Member:
    """A trained member and how it was judged.

    Attributes:
        parent: its name; none if it began with random weights.
        changes: why it did not begin as what its parent was.
        fitness: parts and total.
        folds: performance on each fold, plain.
        returns: (R,) simple returns a bar over all folds, end to end.
        failure: why it could not be trained; such a member has no weights and never traded.
    """

    name: str
    genome: Genome
    parent: str | None
    changes: tuple[str, ...]
    description: dict[str, Any]
    weights: dict[str, Tensor]
    fitness: dict[str, float]
    folds: tuple[dict[str, Any], ...]
    training: dict[str, Any]
    returns: NDArray[np.float64]
    curves: dict[str, float]
    env_steps: int
    seconds: float
    failure: str = ""

    @property
    def total(self) -> float:
        """Fitness, higher is better."""
        return self.fitness["total"]


def mind_of(genome: Genome, shared: SharedMarket) -> Mind:
    """Return the mind with the parts and the memory of a genome."""
    found = architecture_of(genome, shared.config.model.core)
    parts = [part for part in found.modules if part != IMAGINATION]
    return shared.mind.with_parts([*parts, "memory"], found.memory_size)


def model_of(genome: Genome, shared: SharedMarket, seed: int) -> TransformerWorldModel:
    """Return the network of a genome, with weights drawn from `seed`."""
    found = architecture_of(genome, shared.config.model.core)
    action = shared.rules.action
    continuous = action.kind is ActionKind.continuous
    return build_world_model(
        replace(shared.config.model, core=found.core),
        num_features=len(shared.mind.columns),
        num_account_inputs=len(shared.rules.account_inputs),
        num_outputs=2 if continuous else len(action.targets),
        continuous=continuous,
        world=replace(shared.stage.mind.world, imagination=IMAGINATION in found.modules),
        inputs=WorldInputs(tuple(action.targets), shared.mind.scale_column, shared.mind.typical_volatility),
        seed=seed,
    )


def agent_of(
    model: PPOModel, mind: Any, shared: SharedMarket, name: str = "member", rules: TradingRules | None = None
) -> AutonomousAgent:
    """Return a network and a mind as an agent."""
    mirror = shared.stage.mirror and is_symmetric(shared.rules.action)
    return AutonomousAgent(model, mind, rules or shared.rules, name, mirror)


class MemberTrainer:
    """Trains one member after the other; lives in a process of its own or in the driver's.

    Args:
        threads: of torch in this process.
    """

    def __init__(self, shared: SharedMarket, threads: int) -> None:
        torch.set_num_threads(threads)
        self._shared = shared

    def train(self, task: Task) -> Member:
        """Bring up a member: inherit, train, judge."""
        started = time.perf_counter()
        shared = self._shared
        stage = stage_of(task.genome, shared.stage)
        assert isinstance(stage, AutonomousStageConfig)
        mind, model = mind_of(task.genome, shared), model_of(task.genome, shared, integer_seed(task.seed, "weights"))
        changes = _inherit(task.parent, model, task.seed)
        with tempfile.TemporaryDirectory(prefix="supertrader-member-") as folder:
            weights, curves, steps = self._learn(stage, model, mind, task, Path(folder))
        model.load_state_dict(weights)
        return self._judged(task, model, mind, changes, curves, steps, time.perf_counter() - started)

    def _learn(
        self, stage: AutonomousStageConfig, model: TransformerWorldModel, mind: Mind, task: Task, folder: Path
    ) -> tuple[dict[str, Tensor], dict[str, float], int]:
        shared = self._shared
        learned = (*shared.learned, *task.stressed)
        markets = [series.market(mind, shared.rules) for series in learned]
        TrainingMarket.from_markets(markets, shared.rules, model.history_bars).save(folder)
        save_targets(flat_targets(learned, stage.mind.world.horizons, model.history_bars), folder)
        runtime = replace(shared.config.runtime, num_env_runners=0)
        job = StageJob(
            stage, shared.config.environment, runtime, model, folder, task.seed, resolve_device(shared.config.runtime)
        )
        algorithm = algorithm_config(job).build_algo()
        assert isinstance(algorithm, GroupPPO)
        try:
            _hand_in(algorithm, model.state_dict())
            results: dict[str, Any] = {}
            for _ in range(stage.iterations):
                results = algorithm.train()
            return algorithm.evaluated_weights(), _curves(results), stage.iterations * job.steps_per_iteration
        finally:
            algorithm.stop()

    def _judged(
        self,
        task: Task,
        model: TransformerWorldModel,
        mind: Mind,
        changes: tuple[str, ...],
        curves: dict[str, float],
        steps: int,
        seconds: float,
    ) -> Member:
        shared = self._shared
        agent = agent_of(model, KnownMind(mind, shared.known()), shared)
        bars = shared.traded[0].bars
        results = [run_backtest(agent, bars, shared.rules, rows) for rows in shared.folds]
        training = judge(run_backtest(agent, bars, shared.rules, shared.training), shared)
        folds = [judge(result, shared) for result in results]
        weights = sum(parameter.numel() for parameter in model.parameters())
        found = fitness(shared.stage.fitness, folds, training, weights)
        return Member(
            name=task.name,
            genome=dict(task.genome),
            parent=None if task.parent is None else task.parent.name,
            changes=changes,
            description=model.describe(),
            weights={name: weight.cpu() for name, weight in model.state_dict().items()},
            fitness=found.to_plain(),
            folds=tuple(asdict(fold.performance) | {"reward": fold.reward} for fold in folds),
            training=asdict(training.performance) | {"reward": training.reward},
            returns=np.concatenate([returns_of(result) for result in results]),
            curves=curves | {"world/nll": agent.surprise(bars, shared.folds)},
            env_steps=steps,
            seconds=seconds,
        )


def judge(result: BacktestResult, shared: SharedMarket) -> Judged:
    """Measure a backtest; rewards as log-return or return a bar, whatever the reward's scale."""
    reward = float(np.mean(result.records.reward)) / shared.rules.reward_scale
    return Judged(measured(result), reward)


def measured(result: BacktestResult) -> Performance:
    """Return the performance of a backtest."""
    return performance(result.records, result.closes, result.bars_per_year, result.initial_equity)


def returns_of(result: BacktestResult) -> NDArray[np.float64]:
    """Return simple returns a bar, (R,), after costs."""
    return simple_returns(np.asarray(result.records.equity, dtype=np.float64), result.initial_equity)


def _inherit(parent: Parent | None, child: PPOModel, seed: int) -> tuple[str, ...]:
    if parent is None:
        return ()
    source = KINDS[parent.kind].model.from_description(parent.description)
    source.load_state_dict(dict(parent.weights))
    return inherit(source, child, torch.Generator().manual_seed(integer_seed(seed, "inheritance"))).changes


def _hand_in(algorithm: GroupPPO, weights: Mapping[str, Tensor]) -> None:
    def load(learner: Learner) -> None:
        learner.module[DEFAULT_MODULE_ID].unwrapped().policy.load_state_dict(dict(weights))
        assert isinstance(learner, EncodeOnceLearner)
        learner.restart_average()

    algorithm.learner_group.foreach_learner(load)
    algorithm.env_runner_group.sync_weights(from_worker_or_learner_group=algorithm.learner_group)


def _curves(results: Mapping[str, Any]) -> dict[str, float]:
    # Those of the last iteration that tell whether training went well.
    metrics = training_metrics(results, seconds=1.0)
    return {name: metrics[name] for name in _CURVES if name in metrics}
