"""PPO's clipped loss (Schulman et al. 2017, arXiv 1707.06347) on sampled accounts, as an RLlib learner.

Terminated accounts are masked. What else departs from the paper is in `base_learner.py`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from torch import Tensor

from src.seeding import integer_seed
from src.training.rllib.base_learner import EncodeOnceLearner, explained_variance
from src.training.rllib.rl_module import START
from src.training.rollout.action_distribution import make_distribution


class GroupPPOLearner(EncodeOnceLearner):
    """Learns from `RolloutBatch` columns.

    Beside what the base reads, `config.env_config` holds `num_actions` and `continuous`.
    """

    def build(self) -> None:
        super().build()
        settings = self.config.env_config
        self._distribution = make_distribution(settings["num_actions"], settings["continuous"])

    def _minibatches(self, columns: dict[str, Tensor]) -> Iterator[MultiAgentBatch]:
        groups = len(columns[START])
        size = groups // self._stage.minibatches
        source = torch.Generator().manual_seed(
            integer_seed(self.config.env_config["seed"], "minibatch", self._weights_seq_no)
        )
        for _ in range(self._stage.epochs):
            for chosen in torch.randperm(groups, generator=source).split(size):
                rows = chosen.to(columns[START].device)
                part = SampleBatch({name: column[rows] for name, column in columns.items()})
                yield MultiAgentBatch({DEFAULT_MODULE_ID: part}, env_steps=part["action"].numel())

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Return the loss, (), over accounts (G, T, P); outputs of the forward pass are (G, T, P, O)."""
        stage, outputs = self._stage, fwd_out[Columns.ACTION_DIST_INPUTS]
        alive = batch["alive"].to(outputs.dtype)
        count = alive.sum().clamp_min(1.0)

        def mean(values: Tensor) -> Tensor:
            averaged: Tensor = (values * alive).sum() / count
            return averaged

        log_ratio = self._distribution.log_prob(outputs, batch["action"]) - batch["log_prob"]
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - stage.clip, 1.0 + stage.clip)
        policy_loss = -mean(torch.minimum(ratio * batch["advantage"], clipped * batch["advantage"]))
        values = self.module[module_id].unwrapped().compute_values(batch, fwd_out[Columns.EMBEDDINGS])
        value_loss = mean((values - batch["value_target"]) ** 2)
        entropy = mean(self._distribution.entropy(outputs))
        statistics = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            # Schulman's low-variance estimator of the divergence from the sampling policy.
            "approx_kl": mean(ratio - 1.0 - log_ratio),
            "clip_frac": mean(((ratio - 1.0).abs() > stage.clip).to(outputs.dtype)),
            "explained_variance": explained_variance(values[batch["alive"]], batch["value_target"][batch["alive"]]),
        }
        self.metrics.log_dict({name: value.detach() for name, value in statistics.items()}, key=module_id, window=1)
        loss: Tensor = policy_loss + stage.value_coef * value_loss - stage.entropy * entropy
        return loss
