"""RLlib's PPO with encode-once sampling: no episodes, no connectors, batches of whole groups."""

import tempfile
from typing import Any

import torch
from ray.rllib.algorithms.ppo import PPO
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from src.errors import TransientError
from src.training.rllib.base_learner import EncodeOnceLearner


class PPOWithoutFolder(PPO):
    """RLlib's PPO that leaves nothing in the home of whoever trains, which may not even be writable.

    RLlib makes a folder there for each algorithm, for files that stay unwritten here.
    """

    def _setup_logdir(self) -> None:
        self._logdir = tempfile.gettempdir()


class GroupPPO(PPOWithoutFolder):
    """One iteration: every runner plays one chunk, the learner updates on all of them, weights go back."""

    def training_step(self) -> None:
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            batches = self._sample()
        batch = self._merged(batches)
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            sampled = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
            results = self.learner_group.update(batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: sampled})
            self.metrics.aggregate(results, key=LEARNER_RESULTS)
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self._send_weights()

    def _sample(self) -> list[dict[str, torch.Tensor]]:
        runners = self.env_runner_group
        if runners.num_remote_env_runners() == 0:
            results = [(runners.local_env_runner.sample(), runners.local_env_runner.get_metrics())]
        else:
            results = runners.foreach_env_runner(
                lambda runner: (runner.sample(), runner.get_metrics()),
                local_env_runner=False,
                timeout_seconds=self.config.sample_timeout_s,
            )
        if not results:
            raise TransientError("every env runner was lost; the same command resumes from the last saved state")
        self.metrics.aggregate([metrics for _, metrics in results], key=ENV_RUNNER_RESULTS)
        return [columns for columns, _ in results]

    def _merged(self, batches: list[dict[str, torch.Tensor]]) -> MultiAgentBatch:
        columns = join(batches)
        alive, advantage = columns["alive"], columns["advantage"]
        # Normalised over all live decisions of all runners.
        live = advantage[alive]
        columns["advantage"] = (advantage - live.mean()) / live.std().clamp_min(1e-6)
        return MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=advantage.numel())

    def _send_weights(self) -> None:
        self.env_runner_group.sync_weights(
            from_worker_or_learner_group=self.learner_group, policies=[DEFAULT_MODULE_ID], inference_only=True
        )

    def evaluated_weights(self) -> dict[str, torch.Tensor]:
        """Return the learner's averaged policy weights (...) by name, on the CPU."""

        def read(learner: EncodeOnceLearner) -> dict[str, torch.Tensor]:
            return learner.average_weights()

        results: list[Any] = list(self.learner_group.foreach_learner(read))
        weights: dict[str, torch.Tensor] = results[0].get()
        return weights


def join(batches: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Put the groups of all runners into one batch: columns (G, ...) of each, (sum of G, ...) together."""
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
