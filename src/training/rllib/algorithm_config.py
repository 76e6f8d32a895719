"""From the settings of a stage to RLlib's: which algorithm, env runner and learner play and learn it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from src.config.runtime import RuntimeConfig
from src.config.stages.learning import Advantages, LearningConfig, Sampling
from src.config.trading import EnvironmentConfig
from src.models.ppo_model import PPOModel
from src.seeding import integer_seed
from src.training.rllib.algorithm import GroupPPO
from src.training.rllib.all_action_learner import AllActionLearner, AllActionPPO, ChunkEnvRunner
from src.training.rllib.base_learner import EncodeOnceLearner
from src.training.rllib.env_runner import GroupEnvRunner
from src.training.rllib.moe_learner import MoEAllActionLearner, MoEGroupLearner
from src.training.rllib.ppo_learner import GroupPPOLearner
from src.training.rllib.reference import ReferencePPO, with_stock_parts
from src.training.rllib.rl_module import PolicyRLModule
from src.training.rllib.world_learner import WorldAllActionLearner, WorldGroupLearner


class RLlibParts(NamedTuple):
    """What plays and what learns in a stage that encodes each bar once."""

    algorithm: type[GroupPPO]
    env_runner: type[GroupEnvRunner]
    learner: type[EncodeOnceLearner]


PartsByAdvantages = Mapping[Advantages, RLlibParts]


def _parts(sampled: type[EncodeOnceLearner], all_action: type[EncodeOnceLearner]) -> PartsByAdvantages:
    return {
        Advantages.sampled: RLlibParts(GroupPPO, GroupEnvRunner, sampled),
        Advantages.all_action: RLlibParts(AllActionPPO, ChunkEnvRunner, all_action),
    }


POLICY_PARTS = _parts(GroupPPOLearner, AllActionLearner)
MIXTURE_PARTS = _parts(MoEGroupLearner, MoEAllActionLearner)
WORLD_PARTS = _parts(WorldGroupLearner, WorldAllActionLearner)


class StageJob(NamedTuple):
    """What RLlib's configuration is derived from."""

    stage: LearningConfig
    environment: EnvironmentConfig
    runtime: RuntimeConfig
    model: PPOModel  # its architecture; weights are drawn anew from the seed
    market_folder: Path
    seed: int  # of the stage
    device: torch.device
    parts: PartsByAdvantages

    @property
    def steps_per_iteration(self) -> int:
        """Account steps of one iteration, all env runners together."""
        return self.stage.account_steps(self.model.num_outputs) * max(1, self.runtime.num_env_runners)


def algorithm_config(job: StageJob) -> PPOConfig:
    """Return the configuration of the algorithm that plays and learns this stage."""
    if job.stage.sampling is Sampling.reference:
        return with_stock_parts(_shared(job, ReferencePPO))
    parts = job.parts[job.stage.advantages]
    return _with_encode_once_parts(_shared(job, parts.algorithm), parts, job)


def _shared(job: StageJob, algorithm: type[PPO]) -> PPOConfig:
    stage, runners = job.stage, job.runtime.num_env_runners
    return (
        PPOConfig(algo_class=algorithm)
        .framework("torch", torch_skip_nan_gradients=True)  # our learners refuse them, in one look
        .debugging(seed=job.seed % 2**31, log_level="ERROR")
        .environment(env_config=_settings(job))
        .env_runners(num_env_runners=runners, create_local_env_runner=runners == 0)
        .learners(num_learners=0, num_gpus_per_learner=1 if job.device.type == "cuda" else 0)
        .rl_module(rl_module_spec=_module(job))
        .training(
            train_batch_size_per_learner=job.steps_per_iteration,
            use_kl_loss=False,
            entropy_coeff=stage.entropy,
            clip_param=stage.clip,
            vf_loss_coeff=stage.value_coef,
        )
        .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=0)
    )


def _settings(job: StageJob) -> dict[str, object]:
    # What our runners, learners and environments read as `config.env_config`.
    return {
        "market_folder": str(job.market_folder.resolve()),
        "stage": job.stage,
        "environment": job.environment,
        "window": job.model.context_bars + 1,
        "seed": job.seed,
        "device": str(job.device),
        "num_actions": job.model.num_outputs,
        "continuous": job.model.continuous,
        "total_env_steps": job.stage.iterations * job.steps_per_iteration,
    }


def _module(job: StageJob) -> RLModuleSpec:
    return RLModuleSpec(
        module_class=PolicyRLModule,
        model_config={
            "kind": job.stage.kind,
            "description": job.model.describe(),
            "seed": integer_seed(job.seed, "weights"),
            "market_folder": str(job.market_folder.resolve()),
        },
    )


def _with_encode_once_parts(config: PPOConfig, parts: RLlibParts, job: StageJob) -> PPOConfig:
    account = gym.spaces.Box(-1.0, 1.0, (job.model.num_account_inputs,), np.float32)
    action: gym.Space[Any] = gym.spaces.Discrete(job.model.num_outputs)
    if job.model.continuous:
        action = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    return (
        config.environment(env=None, observation_space=account, action_space=action)
        .env_runners(
            env_runner_cls=parts.env_runner,
            rollout_fragment_length=job.stage.account_steps(job.model.num_outputs),
        )
        .learners(learner_class=parts.learner, add_default_connectors_to_learner_pipeline=False)
    )
