"""Weights that training starts from, put where RLlib keeps its own copies of the policy."""

from collections.abc import Callable
from typing import Any

from ray.rllib.algorithms.ppo import PPO
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.learner import Learner

from src.models.ppo_model import PPOModel
from src.training.rllib.base_learner import EncodeOnceLearner


def set_weights(algorithm: PPO, load: Callable[[PPOModel], Any]) -> None:
    """Let `load` change the policy of each learner, before the first update; env runners get the same weights.

    The average of the weights begins anew there.
    """

    def set_in(learner: Learner) -> None:
        load(learner.module[DEFAULT_MODULE_ID].unwrapped().policy)
        if isinstance(learner, EncodeOnceLearner):
            learner.restart_average()

    algorithm.learner_group.foreach_learner(set_in)
    algorithm.env_runner_group.sync_weights(from_worker_or_learner_group=algorithm.learner_group)
