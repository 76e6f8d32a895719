"""PPO's loss on whole groups of accounts, as an RLlib learner.

Deviations from Schulman et al. 2017 (arXiv 1707.06347): minibatches are whole groups, so every bar is encoded once per
epoch; terminated accounts are masked; trunk and heads have learning rates of their own, falling linearly; the gradient
is clipped by its norm over both; an exponential average of the weights is kept, and is what gets evaluated and saved
(Polyak and Juditsky 1992).
"""

from collections.abc import Iterator
from typing import Any

import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.columns import Columns
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from torch import Tensor

from src.config.schema import PPOStageConfig
from src.seeding import integer_seed
from src.training.action_distribution import make_distribution
from src.training.rl_module import START

AVERAGE = "average_weights"


class GroupPPOLearner(PPOTorchLearner):
    """Learns from `RolloutBatch` columns.

    `config.env_config` holds `stage` (PPOStageConfig), `seed`, `num_actions`, `continuous` and `total_env_steps`.
    """

    def build(self) -> None:
        super().build()
        settings = self.config.env_config
        self._stage: PPOStageConfig = settings["stage"]
        self._distribution = make_distribution(settings["num_actions"], settings["continuous"])
        policy = self.module[DEFAULT_MODULE_ID].unwrapped().policy
        self._average = {name: weight.detach().clone() for name, weight in policy.state_dict().items()}

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        stage: PPOStageConfig = self.config.env_config["stage"]
        steps = self.config.env_config["total_env_steps"]
        policy = self._module[module_id].policy
        trunk = list(policy.trunk.parameters())
        in_trunk = {id(parameter) for parameter in trunk}
        heads = [parameter for parameter in policy.parameters() if id(parameter) not in in_trunk]
        for name, parameters, scale in (("trunk", trunk, stage.trunk_lr_frac), ("heads", heads, 1.0)):
            lr = stage.lr * scale
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=torch.optim.AdamW(parameters, lr=lr, weight_decay=stage.weight_decay),
                params=parameters,
                lr_or_lr_schedule=[[0, lr], [steps, lr * stage.lr_end_frac]],
            )

    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().before_gradient_based_update(timesteps=timesteps)
        # Dropout inside the encoder can draw from torch's global generator only; its state is not saved, so each
        # update starts it anew and a resumed run draws the same.
        torch.manual_seed(integer_seed(self.config.env_config["seed"], "dropout", self._weights_seq_no))

    def _create_iterator_if_necessary(self, *, training_data: Any, **kwargs: Any) -> Iterator[MultiAgentBatch]:
        batch = self._make_batch_if_necessary(training_data=training_data)
        columns = dict(batch.policy_batches[DEFAULT_MODULE_ID])
        return self._group_minibatches(columns)

    def _group_minibatches(self, columns: dict[str, Tensor]) -> Iterator[MultiAgentBatch]:
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
            "explained_variance": _explained_variance(values, batch["value_target"], batch["alive"]),
        }
        self.metrics.log_dict({name: value.detach() for name, value in statistics.items()}, key=module_id, window=1)
        loss: Tensor = policy_loss + stage.value_coef * value_loss - stage.entropy * entropy
        return loss

    def postprocess_gradients(self, gradients_dict: dict[Any, Tensor]) -> dict[Any, Tensor]:
        gradients = [gradient for gradient in gradients_dict.values() if gradient is not None]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        scale = (self._stage.grad_clip / (norm + 1e-6)).clamp(max=1.0)
        self.metrics.log_value((DEFAULT_MODULE_ID, "gradient_norm"), norm.detach(), window=1)
        return {key: gradient * scale for key, gradient in gradients_dict.items() if gradient is not None}

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        super().after_gradient_based_update(timesteps=timesteps)
        # Young averages follow quickly, so that the random start is forgotten.
        keep = min(self._stage.weight_average, self._weights_seq_no / (self._weights_seq_no + 2.0))
        policy = self.module[DEFAULT_MODULE_ID].unwrapped().policy
        for name, weight in policy.state_dict().items():
            self._average[name].lerp_(weight, 1.0 - keep)

    def average_weights(self) -> dict[str, Tensor]:
        """Return the averaged weights of the policy, on the CPU."""
        return {name: weight.detach().cpu().clone() for name, weight in self._average.items()}

    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        state[AVERAGE] = {name: weight.cpu().numpy() for name, weight in self._average.items()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        for name, weight in state.get(AVERAGE, {}).items():
            self._average[name].copy_(torch.as_tensor(weight))


def _explained_variance(values: Tensor, targets: Tensor, alive: Tensor) -> Tensor:
    residual, total = (targets - values)[alive].var(), targets[alive].var()
    return 1.0 - residual / total.clamp_min(1e-12)
