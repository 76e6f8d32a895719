"""The curves a practitioner expects, out of what RLlib reports of an iteration."""

import math
from collections.abc import Mapping
from typing import Any

from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    EPISODE_LEN_MEAN,
    EPISODE_RETURN_MEAN,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    TIMERS,
)

from src.training.rllib.base_learner import CURVES
from src.training.rllib.env_runner import ROLLOUT

_LEARNER_CURVES = {
    "policy_loss": "losses/policy_loss",
    "value_loss": "losses/value_loss",
    "entropy": "losses/entropy",
    "approx_kl": "losses/approx_kl",
    "clip_frac": "losses/clipfrac",
    "explained_variance": "losses/explained_variance",
    "gradient_norm": "losses/gradient_norm",
    "heads_learning_rate": "charts/learning_rate",
    "reward": "rollout/reward",
    "turnover": "rollout/turnover",
    "exposure": "rollout/exposure",
    # RLlib's own learner calls some of them otherwise.
    "vf_loss": "losses/value_loss",
    "vf_explained_var": "losses/explained_variance",
    "gradients_default_optimizer_global_norm": "losses/gradient_norm",
    "default_optimizer_learning_rate": "charts/learning_rate",
}


def training_metrics(results: Mapping[str, Any], seconds: float) -> dict[str, float]:
    """Return figures by the name of their curve; `seconds` is what the iteration took."""
    learner, runner = results[LEARNER_RESULTS][DEFAULT_MODULE_ID], results[ENV_RUNNER_RESULTS]
    steps = float(runner["num_env_steps_sampled"])
    metrics = {name: float(learner[key]) for key, name in _LEARNER_CURVES.items() if key in learner}
    metrics |= {name: float(value) for name, value in learner.get(CURVES, {}).items()}
    rollout = {name: float(value) for name, value in runner.get(ROLLOUT, {}).items()}
    metrics |= {
        f"rollout/{name}": value for name, value in rollout.items() if math.isfinite(value)
    }  # RLlib tells of no value as NaN
    if EPISODE_RETURN_MEAN in runner:  # of RLlib's own env runner, once an episode has ended
        metrics["rollout/reward"] = float(runner[EPISODE_RETURN_MEAN] / runner[EPISODE_LEN_MEAN])
        metrics["rollout/episode_return"] = float(runner[EPISODE_RETURN_MEAN])
        metrics["rollout/episode_length"] = float(runner[EPISODE_LEN_MEAN])
    metrics |= {
        f"time/{name}": float(value) for name, value in results[TIMERS].items() if isinstance(value, float | int)
    }
    metrics["charts/env_steps"] = float(runner[NUM_ENV_STEPS_SAMPLED_LIFETIME])
    metrics["charts/SPS"] = steps / seconds
    return metrics
