"""A trunk of several encoders and a gate that weighs them bar by bar.

Dense mixture of experts (Jacobs et al. 1991; sparse by top-k, Shazeer et al. 2017, arXiv 1701.06538). Gate and experts
see bars and never the account, so all of them are computed once per bar, and the same heads read the mixture. How each
learns its own part is in `responsibilities.py`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from src.config.base import Schema, require, require_at_least
from src.config.model import ModelConfig
from src.models.moe.gate import EvidenceGate
from src.models.trunk import SequenceTrunk, build_trunk


@dataclass
class MixtureConfig(Schema):
    """`top_k` null mixes all experts; else only the k with the largest weights count, the others' being 0."""

    experts: int
    top_k: int | None
    gate_dim: int
    gate_window: int

    def check(self) -> None:
        for name in ("experts", "gate_dim", "gate_window"):
            require_at_least(name, getattr(self, name), 1)
        require(
            self.top_k is None or 1 <= self.top_k <= self.experts,
            f"top_k must lie in [1, experts={self.experts}] or be null, was {self.top_k}",
        )


class MixtureTrunk(nn.Module):
    """E encoders of the same settings and the gate that weighs them. One expert has no gate: the trunk is that expert.

    Args:
        config: of each expert.
        mixture: number of experts and shape of the gate.
        input_dim: features F per bar.

    Attributes:
        receptive_field: bars an embedding depends on, its own included.
    """

    def __init__(self, config: ModelConfig, mixture: MixtureConfig, input_dim: int) -> None:
        super().__init__()
        experts = [build_trunk(config, input_dim) for _ in range(mixture.experts)]
        self.experts, self.receptive_field = nn.ModuleList(experts), experts[0].receptive_field
        self.gate, self._top_k = None, mixture.top_k
        if mixture.experts > 1:
            self.gate = EvidenceGate(input_dim, mixture.gate_dim, mixture.experts, mixture.gate_window)
            self.receptive_field = max(self.receptive_field, mixture.gate_window)

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, D)."""
        outputs, log_beliefs = self.encode_experts(x, context)
        return mix(outputs, self.weights(log_beliefs))

    def encode_experts(self, x: Tensor, context: int = 0) -> tuple[Tensor, Tensor]:
        """Embed bars by each expert, (B, T - context, E, D), and return the gate's log-beliefs, (B, T - context, E)."""
        outputs = torch.stack([_encoder(expert).encode(x, context) for expert in self.experts], -2)
        return outputs, torch.zeros_like(outputs[..., 0]) if self.gate is None else self.gate(x, context)

    def weights(self, log_beliefs: Tensor) -> Tensor:
        """Return the weight of each expert, (..., E); 0 outside the best `top_k`."""
        if self._top_k is not None:
            best = log_beliefs.topk(self._top_k)
            log_beliefs = torch.full_like(log_beliefs, -torch.inf).scatter(-1, best.indices, best.values)
        return log_beliefs.softmax(-1)


def _encoder(module: nn.Module) -> SequenceTrunk:
    assert isinstance(module, SequenceTrunk)
    return module


def mix(outputs: Tensor, weights: Tensor) -> Tensor:
    """Return the mean (..., D) of the experts' outputs (..., E, D) under weights (..., E)."""
    return (weights[..., None] * outputs).sum(-2)


def balance_loss(weights: Tensor) -> Tensor:
    """Return how unevenly weights (..., E) share out the bars: E * sum of squared mean weights - 1, from 0 to E - 1.

    The squared coefficient of variation of the experts' importance (Shazeer et al. 2017, eq. 6-7).
    """
    importance = weights.flatten(0, -2).mean(0)
    loss: Tensor = len(importance) * importance.square().sum() - 1.0
    return loss


def gate_entropy(weights: Tensor) -> Tensor:
    """Return the mean entropy of weights (..., E) as a fraction of its largest value; 0 for a single expert."""
    experts = weights.shape[-1]
    if experts == 1:
        return weights.new_zeros(())
    # An expert that is left out has the weight 0, where the logarithm's slope would be infinite.
    logs = weights.clamp_min(torch.finfo(weights.dtype).tiny).log()
    entropy: Tensor = -(weights * logs).sum(-1).mean()
    return entropy / math.log(experts)
