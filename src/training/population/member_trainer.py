"""`MemberTrainer`: builds members from a genome and a parent's weights, trains them with RLlib, evaluates them.

A member depends on its specification and the shared market alone, not on the process it is trained in, nor on the
members before it.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.agents.mind import Mind
from src.agents.registry import agent_kind
from src.config.stages.autonomous import AutonomousStageConfig
from src.errors import TraderError
from src.models.inheritance import inherit
from src.models.ppo_model import PPOModel
from src.models.world_model import TransformerWorldModel
from src.nas.agent_space import stage_of
from src.seeding import integer_seed
from src.training.population.member import Member, MemberSpec, Parent, agent_of, mind_of, model_of
from src.training.population.member_evaluation import evaluate_member
from src.training.population.shared_market import CachedMind, SharedMarket
from src.training.population.world_targets_file import flat_targets, save_targets
from src.training.rllib.algorithm import GroupPPO
from src.training.rllib.algorithm_config import WORLD_PARTS, StageJob, algorithm_config
from src.training.rllib.curves import training_metrics
from src.training.rllib.ray_runtime import resolve_device
from src.training.rllib.weights import set_weights
from src.training.rollout.training_market import TrainingMarket

_CURVES = (
    *("losses/policy_loss", "losses/value_loss", "losses/entropy", "losses/approx_kl", "losses/explained_variance"),
    *("rollout/reward", "rollout/turnover", "rollout/exposure", "rollout/episode_return", "rollout/episode_length"),
    *("world/loss", "world/shape_loss", "world/regime_loss"),
)
_UNTRAINABLE = -1e6  # fitness of what could not be trained


@dataclass(frozen=True)
class _Learned:
    weights: dict[str, Tensor]
    history: tuple[dict[str, float], ...]
    env_steps: int


class MemberTrainer:
    """Trains one member after the other; lives in a process of its own or in the driver's.

    Args:
        threads: of torch in this process.
    """

    def __init__(self, shared: SharedMarket, threads: int) -> None:
        torch.set_num_threads(threads)
        self._shared = shared

    def train(self, spec: MemberSpec) -> Member:
        """Inherit weights, train, evaluate. A member that cannot be trained says why instead of ending the run."""
        started = time.perf_counter()
        shared = self._shared
        stage = stage_of(spec.genome, shared.stage)
        assert isinstance(stage, AutonomousStageConfig)
        mind, model = mind_of(spec.genome, shared), model_of(spec.genome, shared, integer_seed(spec.seed, "weights"))
        changes = _inherit(spec.parent, model, spec.seed)
        try:
            with tempfile.TemporaryDirectory(prefix="supertrader-member-") as folder:
                learned = self._learn(stage, model, mind, spec, Path(folder))
        except TraderError as error:
            return self._untrainable(spec, changes, str(error), time.perf_counter() - started)
        model.load_state_dict(learned.weights)
        return self._judged(spec, model, mind, changes, learned, started)

    def _learn(
        self, stage: AutonomousStageConfig, model: TransformerWorldModel, mind: Mind, spec: MemberSpec, folder: Path
    ) -> _Learned:
        job = member_job(self._shared, stage, model, mind, spec, folder)
        algorithm = algorithm_config(job).build_algo()
        assert isinstance(algorithm, GroupPPO)
        try:
            weights = model.state_dict()
            set_weights(algorithm, lambda policy: policy.load_state_dict(weights))
            history = tuple(_curves(algorithm.train()) for _ in range(stage.iterations))
            steps = stage.iterations * job.steps_per_iteration
            return _Learned(algorithm.evaluated_weights(), history, steps)
        finally:
            algorithm.stop()

    def _judged(
        self,
        spec: MemberSpec,
        model: TransformerWorldModel,
        mind: Mind,
        changes: tuple[str, ...],
        learned: _Learned,
        started: float,
    ) -> Member:
        shared = self._shared
        agent = agent_of(model, CachedMind(mind, shared.known()), shared)
        found = evaluate_member(agent, shared, shared.rules)
        return Member(
            name=spec.name,
            genome=dict(spec.genome),
            parent=None if spec.parent is None else spec.parent.name,
            changes=changes,
            description=model.describe(),
            weights={name: weight.cpu() for name, weight in model.state_dict().items()},
            history=learned.history,
            curves=learned.history[-1] | {"world/nll": agent.prediction_nll(shared.bars, shared.folds)},
            env_steps=learned.env_steps,
            seconds=time.perf_counter() - started,
            **found.to_plain(),
        )

    def _untrainable(self, spec: MemberSpec, changes: tuple[str, ...], failure: str, seconds: float) -> Member:
        return Member(
            name=spec.name,
            genome=dict(spec.genome),
            parent=None if spec.parent is None else spec.parent.name,
            changes=changes,
            description={},
            weights={},
            fitness={"total": _UNTRAINABLE},
            folds=(),
            training={},
            returns=np.zeros(sum(len(rows) for rows in self._shared.folds)),
            history=(),
            curves={},
            env_steps=0,
            seconds=seconds,
            failure=failure,
        )


def member_job(
    shared: SharedMarket,
    stage: AutonomousStageConfig,
    model: TransformerWorldModel,
    mind: Mind,
    spec: MemberSpec,
    folder: Path,
) -> StageJob:
    """Write what a member learns from into a folder, and return what RLlib is to do with it."""
    series = (*shared.learned, *spec.stressed)
    markets = [one.market(mind, shared.rules) for one in series]
    TrainingMarket.from_markets(markets, shared.rules, model.history_bars).save(folder)
    save_targets(flat_targets(series, shared.mind, stage.mind.world.horizons, model.history_bars), folder)
    runtime, device = replace(shared.config.runtime, num_env_runners=0), resolve_device(shared.config.runtime)
    return StageJob(stage, shared.config.environment, runtime, model, folder, spec.seed, device, WORLD_PARTS)


def _inherit(parent: Parent | None, child: PPOModel, seed: int) -> tuple[str, ...]:
    if parent is None:
        return ()
    source = agent_kind(parent.kind).model.from_description(parent.description)
    source.load_state_dict(dict(parent.weights))
    return inherit(source, child, torch.Generator().manual_seed(integer_seed(seed, "inheritance"))).changes


def _curves(results: Mapping[str, Any]) -> dict[str, float]:
    # Those that tell whether training went well.
    metrics = training_metrics(results, seconds=1.0)
    return {name: metrics[name] for name in _CURVES if name in metrics}
