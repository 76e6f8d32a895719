"""RLlib's side of all-action advantages: runners draw chunks of bars, the learner enumerates the policy on them.

The mathematics is in `src/models/all_action.py`, the drawing of chunks in `chunk_sampler.py`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from torch import Tensor

from src.models.all_action import EnumeratedPolicy, clipped_objective, enumerate_policy, enumerated_rewards, expectation
from src.training.rllib.algorithm import GroupPPO, join
from src.training.rllib.base_learner import EncodeOnceLearner, explained_variance
from src.training.rllib.env_runner import GroupEnvRunner
from src.training.rllib.rl_module import ACCOUNT
from src.training.rollout.chunk_sampler import ChunkSampler
from src.training.rollout.training_market import load_training_market


class AllActionPPO(GroupPPO):
    """As the sampled algorithm, without what sampling needs."""

    def _merged(self, batches: list[dict[str, Tensor]]) -> MultiAgentBatch:
        columns = join(batches)
        steps = columns["log_return"].numel() * self.config.env_config["num_actions"]
        return MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(columns)}, env_steps=steps)

    def _send_weights(self) -> None:
        """Send nothing: runners that only draw bars need no weights."""


class ChunkEnvRunner(GroupEnvRunner):
    """Draws chunks once per call; every position counts as an account."""

    def make_env(self) -> None:
        settings = self.config.env_config
        market = load_training_market(settings["market_folder"])
        self.env = self._sampler = ChunkSampler(
            market, settings["stage"], settings["seed"], worker=self.worker_index or 0
        )

    def sample(self, **kwargs: Any) -> dict[str, Tensor]:
        """Return the columns of a `ChunkBatch` of G groups, (G, ...) each."""
        batch = self._sampler.draw(self._iteration, self.module.policy.trunk_dim)
        self._iteration += 1
        self._log(batch.log_return.numel() * self.config.env_config["num_actions"], {})
        columns: dict[str, Tensor] = batch._asdict()
        return columns


class AllActionLearner(EncodeOnceLearner):
    """Learns from `ChunkBatch` columns.

    Beside what the base reads, `config.env_config` holds `market_folder`.
    """

    def build(self) -> None:
        super().build()
        action = load_training_market(self.config.env_config["market_folder"]).rules.action
        self._targets = torch.tensor(action.targets, dtype=torch.float32, device=self._device)
        self._positions = (self._targets / action.max_leverage)[:, None]  # (A, 1), as account inputs show them
        self._enumerated: EnumeratedPolicy | None = None

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().before_gradient_based_update(timesteps=timesteps)
        # At full cost from the start, never trading is the nearest way to lose nothing, and a policy that settled
        # there is not found out.
        ramp = self._stage.cost_ramp_frac
        self._cost_scale = min(1.0, self._done / ramp) if ramp > 0 else 1.0

    def _minibatches(self, columns: dict[str, Tensor]) -> Iterator[MultiAgentBatch]:
        # Chunks are drawn independently, so any cut is a random one. Each part is enumerated anew when its turn comes,
        # and is used up before the next: the first of its steps is exact, the others are held near it by the clip.
        groups, horizon = columns["log_return"].shape
        size, targets = groups // self._stage.minibatches, len(self._targets)
        account = self._positions.expand(size, horizon + 1, targets, 1)  # every position, at every bar and at the end
        for first in range(0, groups, size):
            part = {name: column[first : first + size] for name, column in columns.items()} | {ACCOUNT: account}
            self._enumerated = None
            for _ in range(self._stage.epochs):
                steps = size * horizon * targets
                yield MultiAgentBatch({DEFAULT_MODULE_ID: SampleBatch(part)}, env_steps=steps)

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Return the loss, (), of G groups, positions as accounts: outputs of the forward pass are (G, T + 1, P, A)."""
        stage = self._stage
        log_probs = fwd_out[Columns.ACTION_DIST_INPUTS][:, :-1].log_softmax(-1)  # (G, T, P, A)
        values = self.module[module_id].unwrapped().compute_values(batch, fwd_out[Columns.EMBEDDINGS])
        enumerated = self._enumerated = self._enumerated or self._enumerate(
            batch, log_probs.detach(), values[:, -1].detach()
        )
        objective = clipped_objective(log_probs, enumerated, stage.clip)
        value_loss = (values[:, :-1] - enumerated.value).square().mean()
        entropy = -(log_probs.exp() * log_probs).sum(-1).mean()
        statistics = {
            "policy_loss": -objective,
            "value_loss": value_loss,
            "entropy": entropy,
            "explained_variance": explained_variance(values[:, :-1], enumerated.value),
        }
        self.metrics.log_dict({name: value.detach() for name, value in statistics.items()}, key=module_id, window=1)
        loss: Tensor = stage.value_coef * value_loss - objective - stage.entropy * entropy
        return loss

    def _enumerate(self, batch: dict[str, Any], log_probs: Tensor, end: Tensor) -> EnumeratedPolicy:
        stage = self._stage
        rewards = enumerated_rewards(self._targets, batch["log_return"], batch["cost_frac"] * self._cost_scale)
        end = end if stage.value_coef > 0 else torch.zeros_like(end)
        enumerated = enumerate_policy(log_probs.exp(), rewards, stage.gamma, stage.position_mix, end)
        self._log_behaviour(enumerated, rewards)
        return enumerated

    def _log_behaviour(self, enumerated: EnumeratedPolicy, rewards: Tensor) -> None:
        # Of accounts that started evenly spread; rewards at the costs of the moment.
        changed = (self._targets[:, None] - self._targets).abs()
        quantities = {"reward": rewards, "turnover": changed, "exposure": self._targets.abs()}
        means = {
            name: expectation(enumerated.visited, enumerated.probs, quantity) for name, quantity in quantities.items()
        }
        self.metrics.log_dict(means, key=DEFAULT_MODULE_ID, window=1)
