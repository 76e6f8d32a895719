"""What learning a mixture of experts adds to learning a policy: a gate that spares no expert, and settles in time."""

from typing import Any

import torch
from torch import Tensor

from src.config.stages import MoEStageConfig
from src.models.mixture import balance_loss, gate_entropy
from src.training.all_action_rllib import AllActionLearner
from src.training.base_learner import CURVES, EncodeOnceLearner
from src.training.learner import GroupPPOLearner
from src.training.rl_module import MARKET


class GateLosses(EncodeOnceLearner):
    """Adds the gate's losses to those of the learner it is mixed into; the policy is a `MoEModel`."""

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        stage = self._stage
        assert isinstance(stage, MoEStageConfig)
        loss = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        weights = self.module[module_id].unwrapped().policy.gates(fwd_out[MARKET])  # (G, T, E)
        balance, entropy = balance_loss(weights), gate_entropy(weights)
        bonus = stage.gate_entropy + (stage.gate_entropy_end - stage.gate_entropy) * min(1.0, self._done)
        curves = {"moe/balance_loss": balance, "moe/gate_entropy": entropy, **_load(weights)}
        self.metrics.log_dict(
            {name: value.detach() for name, value in curves.items()}, key=(module_id, CURVES), window=1
        )
        total: Tensor = loss + stage.balance * balance - bonus * entropy
        return total


class MoEGroupLearner(GateLosses, GroupPPOLearner):
    """On sampled accounts."""


class MoEAllActionLearner(GateLosses, AllActionLearner):
    """On all actions."""


def _load(weights: Tensor) -> dict[str, Tensor]:
    # The mean weight of each expert, and the part of the bars on which it has the largest.
    weights = weights.detach().flatten(0, -2)
    leads = torch.nn.functional.one_hot(weights.argmax(-1), weights.shape[-1]).float().mean(0)
    return {
        f"moe/{name}_{expert}": value
        for name, values in (("load", weights.mean(0)), ("leads", leads))
        for expert, value in enumerate(values)
    }
