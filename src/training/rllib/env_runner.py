"""RLlib env runner that plays encode-once chunks (`group_rollout.py`). Sampling lives there; this file speaks RLlib."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

import ray
import torch
from ray.rllib.core import COMPONENT_RL_MODULE, DEFAULT_AGENT_ID, DEFAULT_MODULE_ID
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import (
    NUM_AGENT_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    WEIGHTS_SEQ_NO,
)

from src.training.rollout.group_rollout import GroupRollout
from src.training.rollout.training_market import load_training_market

ROLLOUT, ITERATION = "rollout", "iteration"


class Resumable(Protocol):
    """What a runner samples from: it can be saved, and continued elsewhere."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class GroupEnvRunner(EnvRunner, Checkpointable):
    """Samples one chunk of every group per call.

    `config.env_config` holds `market_folder`, `stage` (LearningConfig), `environment` (EnvironmentConfig), `seed` and
    `device`.
    """

    env: Resumable

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        super().__init__(config=config, **kwargs)
        self._weights_seq_no = 0
        self._iteration = 0
        self.make_module()
        self.make_env()

    def make_env(self) -> None:
        settings = self.config.env_config
        self._device = torch.device(settings["device"])
        self.env = self._rollout = GroupRollout(
            load_training_market(settings["market_folder"]),
            settings["stage"],
            settings["environment"],
            settings["seed"],
            worker=self.worker_index or 0,
            device=self._device,
        )

    def make_module(self) -> None:
        spec = self.config.get_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
        self.module = spec.build().to(self.config.env_config["device"]).eval()

    def get_spaces(self) -> dict[str, Any]:
        spaces = (self.config.observation_space, self.config.action_space)
        return {INPUT_ENV_SPACES: spaces, INPUT_ENV_SINGLE_SPACES: spaces, DEFAULT_MODULE_ID: spaces}

    def assert_healthy(self) -> None:
        assert self.env is not None
        assert self.module is not None

    def sample(self, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Play one chunk; returns the columns of a `RolloutBatch` of G groups, (G, ...) each, on the CPU."""
        batch, statistics = self._rollout.collect(self.module.policy, self._iteration)
        self._iteration += 1
        self._log(int(batch.action.numel()), vars(statistics))
        return {name: column.cpu() for name, column in batch._asdict().items()}

    def _log(self, steps: int, statistics: Mapping[str, float | None]) -> None:
        self.num_env_steps_sampled_lifetime += steps
        log = self.metrics.log_value
        log(NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        log((NUM_AGENT_STEPS_SAMPLED, DEFAULT_AGENT_ID), steps, reduce="sum")
        log(NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        log(WEIGHTS_SEQ_NO, self._weights_seq_no, window=1)
        for name, value in statistics.items():
            if value is not None:
                log((ROLLOUT, name), value, window=1)

    def get_metrics(self) -> Any:
        return self.metrics.reduce()

    def stop(self) -> None:
        """Nothing to release."""

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        state: dict[str, Any] = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.num_env_steps_sampled_lifetime}
        if self._check_component(ROLLOUT, components, not_components):
            state[ITERATION] = self._iteration
            state[ROLLOUT] = self.env.state_dict()
        if self._check_component(COMPONENT_RL_MODULE, components, not_components):
            state[COMPONENT_RL_MODULE] = self.module.get_state(**kwargs)
            state[WEIGHTS_SEQ_NO] = self._weights_seq_no
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take weights (every iteration), or a whole saved state (after a restart)."""
        if COMPONENT_RL_MODULE in state:
            weights = state[COMPONENT_RL_MODULE]
            weights = ray.get(weights) if isinstance(weights, ray.ObjectRef) else weights
            # Taken whatever its sequence number: a restored run goes back to older weights.
            self.module.set_state(weights.get(DEFAULT_MODULE_ID, weights))
            self._weights_seq_no = state.get(WEIGHTS_SEQ_NO, 0)
        if ROLLOUT in state:
            self.num_env_steps_sampled_lifetime = state[NUM_ENV_STEPS_SAMPLED_LIFETIME]
            self._iteration = state[ITERATION]
            self.env.load_state_dict(state[ROLLOUT])

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[()], dict[str, Any]]:
        return (), {"config": self.config}

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        return [(COMPONENT_RL_MODULE, self.module)]
