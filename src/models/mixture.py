"""A trunk of several encoders and a gate that says, bar by bar, how much each of them counts.

Dense mixture of experts (Jacobs et al. 1991; sparse by top-k, Shazeer et al. 2017, arXiv 1701.06538). Gate and experts
see bars and never the account, so all of them are computed once per bar, and the same heads as ever read the mixture.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from src.config.schema import ModelConfig, Schema, require, require_at_least
from src.models.trunk import SequenceTrunk, build_trunk

_FF_FACTOR = 4  # width of the gate's feed-forward layers, in its own widths


@dataclass
class MixtureConfig(Schema):
    """`top_k` null mixes all experts; else only the k with the largest weights count, the others' being 0."""

    experts: int
    top_k: int | None
    gate_dim: int

    def check(self) -> None:
        require_at_least("experts", self.experts, 1)
        require_at_least("gate_dim", self.gate_dim, 1)
        if self.top_k is not None:
            require(
                1 <= self.top_k <= self.experts,
                f"top_k must lie in [1, experts={self.experts}] or be null, was {self.top_k}",
            )


class MixtureTrunk(nn.Module):
    """E encoders of the same settings, and as gate a narrower one whose outputs weigh them.

    The gate is an encoder because a regime shows in how bars follow one another, not in a single bar. Its last layer
    starts at zero: at first all experts count alike. A mixture of one expert has no gate and is that expert.

    Args:
        config: of each expert; the gate takes its window, layers and heads from it.
        mixture: number of experts and shape of the gate.
        input_dim: features F per bar.

    Raises:
        ConfigError: `gate_dim` does not fit the number of heads.

    Attributes:
        receptive_field: bars an embedding depends on, its own included.
    """

    def __init__(self, config: ModelConfig, mixture: MixtureConfig, input_dim: int) -> None:
        super().__init__()
        heads = config.core.num_heads
        require(
            mixture.gate_dim % (2 * heads) == 0,
            f"gate_dim must be a multiple of 2 * model.core.num_heads = {2 * heads}, was {mixture.gate_dim}",
        )
        self._top_k = mixture.top_k
        experts = [build_trunk(config, input_dim) for _ in range(mixture.experts)]
        self.experts, self.receptive_field = nn.ModuleList(experts), experts[0].receptive_field
        if mixture.experts > 1:
            core = replace(config.core, d_model=mixture.gate_dim, ff_dim=_FF_FACTOR * mixture.gate_dim)
            self.gate = build_trunk(replace(config, core=core), input_dim)
            self.gate_output = nn.Linear(mixture.gate_dim, mixture.experts)
            nn.init.zeros_(self.gate_output.weight)
            nn.init.zeros_(self.gate_output.bias)

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, D)."""
        return self.mix(x, context)[0]

    def mix(self, x: Tensor, context: int = 0) -> tuple[Tensor, Tensor]:
        """Return the mixed embedding (B, T - context, D) and the weights of the experts (B, T - context, E)."""
        outputs = torch.stack([_encoder(expert).encode(x, context) for expert in self.experts], -2)  # (B, T, E, D)
        weights = self._weights(x, context) if len(self.experts) > 1 else torch.ones_like(outputs[..., 0])
        return (weights[..., None] * outputs).sum(-2), weights

    def _weights(self, x: Tensor, context: int) -> Tensor:
        logits = self.gate_output(self.gate.encode(x, context))
        if self._top_k is not None:
            least = logits.topk(self._top_k).values[..., -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        weights: Tensor = logits.softmax(-1)
        return weights


def _encoder(module: nn.Module) -> SequenceTrunk:
    assert isinstance(module, SequenceTrunk)
    return module


def balance_loss(weights: Tensor) -> Tensor:
    """Return how unevenly bars (..., E) are shared out: E * sum of squared mean weights - 1, from 0 to E - 1.

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
    entropy: Tensor = torch.special.entr(weights).sum(-1).mean()
    return entropy / math.log(experts)
