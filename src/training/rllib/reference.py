"""Stock RLlib PPO on our gymnasium environments: what the encode-once path is tested and measured against.

Environments step one by one, each observes a window of its own, and RLlib's own env runner, connectors and learner do
the rest; only the network is ours. Accounts become environments (per env runner), and these settings mean the same as
in the encode-once path: horizon, epochs, minibatches, lr and its fall, gamma, gae_lambda, clip, entropy, value_coef,
grad_clip, mirror (every other environment trades the mirrored market), and all that concerns validation.

These have no effect here, because stock RLlib has no place for them: groups, embedding_dropout, trunk_lr_frac and
weight_decay (one Adam for all weights), weight_average (the last weights are validated and saved).

What else differs: minibatches are random samples; an episode has exactly `environment.episode_bars` bars, not whole
chunks; a closed account begins a new episode instead of sitting flat.

A resumed run continues with the saved weights, optimiser and counters. Environments begin new episodes and action
noise begins anew, so it does not end with the weights of an uninterrupted one.
"""

import math

import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner import Learner

from src.training.rllib.algorithm import PPOWithoutFolder
from src.training.rllib.reference_env import SeriesVectorEnv


class ReferencePPO(PPOWithoutFolder):
    """RLlib's PPO, which can be asked for its weights."""

    def evaluated_weights(self) -> dict[str, torch.Tensor]:
        """Return the policy weights (...) by name as they are, on the CPU."""

        def read(learner: Learner) -> dict[str, torch.Tensor]:
            policy = learner.module[DEFAULT_MODULE_ID].unwrapped().policy
            return {name: weight.detach().cpu().clone() for name, weight in policy.state_dict().items()}

        weights: dict[str, torch.Tensor] = next(iter(self.learner_group.foreach_learner(read))).get()
        return weights


def with_stock_parts(config: PPOConfig) -> PPOConfig:
    """Complete what both paths share by RLlib's own parts.

    `config.env_config` holds `stage` and `total_env_steps` beside what `SeriesVectorEnv` reads.
    """
    stage, steps = config.env_config["stage"], config.env_config["total_env_steps"]
    return (
        config.environment(env=SeriesVectorEnv, normalize_actions=False, clip_actions=True)
        .env_runners(
            gym_env_vectorize_mode="vector_entry_point",
            num_envs_per_env_runner=stage.accounts,
            rollout_fragment_length=stage.horizon,
        )
        .training(
            gamma=stage.gamma,
            lambda_=stage.gae_lambda,
            lr=[[0, stage.lr], [steps, stage.lr * stage.lr_end_frac]],
            grad_clip=stage.grad_clip,
            grad_clip_by="global_norm",
            num_epochs=stage.epochs,
            minibatch_size=config.train_batch_size_per_learner // stage.minibatches,
            vf_clip_param=math.inf,
        )
    )
