"""`CoreTransformer`: the causal sliding-window encoder under every agent.

The embedding of bar t depends on the bars of the window that ends at t and on the weights, on nothing else. So a
window, a chunk with enough left context, a whole series and a stream of single bars give the same embedding (≤ 1e-5),
and each bar is encoded once per policy version however many accounts look at it.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from src.config.schema import Activation, Attention, CoreTransformerConfig, Gating, Norm, Position
from src.models.attention import BandedAttention

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    Activation.gelu: functional.gelu,
    Activation.relu: functional.relu,
    Activation.silu: functional.silu,
}
_NORMS: dict[Norm, type[nn.Module]] = {Norm.layernorm: nn.LayerNorm, Norm.rmsnorm: nn.RMSNorm}


class LayerCache(NamedTuple):
    """Keys and values of the last `band - 1` bars, without positions, so that a long stream does not drift."""

    keys: Tensor  # (B, H, up to band - 1, D / H)
    values: Tensor  # (B, H, up to band - 1, D / H)


class CoreTransformer(nn.Module):
    """Pre-norm transformer (Xiong et al. 2020, arXiv 2002.04745) with banded causal attention.

    Each of L layers sees a band of b bars, so the receptive field is L * (b - 1) + 1 bars; b is the largest for which
    that fits in `window`. Residual branches start at zero: a fresh encoder passes its input projection through.

    Args:
        input_dim: features F per bar.
        output_dim: width of the embedding.
        gating: `gru` joins residual branches by the identity-biased gate of GTrXL (Parisotto et al. 2020, 1910.06764).
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        d_model: int = 32,
        num_heads: int = 4,
        num_layers: int = 2,
        ff_dim: int = 128,
        window: int = 64,
        dropout: float = 0.0,
        activation: Activation = Activation.gelu,
        norm: Norm = Norm.layernorm,
        gating: Gating = Gating.none,
        position: Position = Position.rope,
        attention: Attention = Attention.dot,
    ) -> None:
        super().__init__()
        band = (window - 1) // num_layers + 1
        self.input_dim, self.receptive_field = input_dim, num_layers * (band - 1) + 1
        self.embed = nn.Linear(input_dim, d_model)
        self.blocks = nn.ModuleList(
            Block(d_model, num_heads, ff_dim, band, dropout, activation, norm, gating, position, attention)
            for _ in range(num_layers)
        )
        self.norm = _NORMS[norm](d_model)
        self.project = nn.Identity() if output_dim == d_model else nn.Linear(d_model, output_dim)

    @classmethod
    def from_config(cls, config: CoreTransformerConfig, input_dim: int, output_dim: int) -> "CoreTransformer":
        """Build the encoder that settings or a genome describe."""
        settings = {name: value for name, value in vars(config).items() if not name.startswith("_")}
        return cls(input_dim, output_dim, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the last bar of each window: (B, T, F) -> (B, output_dim)."""
        return self.encode(x)[:, -1]

    def encode(self, x: Tensor) -> Tensor:
        """Embed every bar: (B, T, F) -> (B, T, output_dim).

        Bars with less than `receptive_field - 1` bars before them see a shorter past.
        """
        assert x.dim() == 3, f"expected (B, T, F), got {tuple(x.shape)}"
        assert x.shape[-1] == self.input_dim, f"expected {self.input_dim} features, got {x.shape[-1]}"
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        embedding: Tensor = self.project(self.norm(x))
        return embedding

    def step(self, x_t: Tensor, cache: tuple[LayerCache, ...] | None = None) -> tuple[Tensor, tuple[LayerCache, ...]]:
        """Embed the next bar of a stream: (B, F) -> (B, output_dim), and the cache for the bar after it."""
        x = self.embed(x_t)[:, None]
        layers = []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x, layer = block.step(x, cache[index] if cache is not None else None)
            layers.append(layer)
        return self.project(self.norm(x))[:, 0], tuple(layers)


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm, joined to the residual stream by addition or a gate."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        ff_dim: int,
        band: int,
        dropout: float,
        activation: Activation,
        norm: Norm,
        gating: Gating,
        position: Position,
        attention: Attention,
    ) -> None:
        super().__init__()
        self.attention_norm, self.ff_norm = _NORMS[norm](d_model), _NORMS[norm](d_model)
        self.attention = BandedAttention(d_model, num_heads, band, position, attention)
        self.widen, self.narrow = nn.Linear(d_model, ff_dim), nn.Linear(ff_dim, d_model)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)
        self.activation = _ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)
        self.attention_gate = GruGate(d_model) if gating is Gating.gru else None
        self.ff_gate = GruGate(d_model) if gating is Gating.gru else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = _join(x, self.dropout(self.attention(self.attention_norm(x))), self.attention_gate)
        return self._feed_forward(x)

    def step(self, x: Tensor, cache: LayerCache | None) -> tuple[Tensor, LayerCache]:
        """One bar (B, 1, D) after those in the cache."""
        attention = self.attention
        q, k, v = attention.project(self.attention_norm(x))
        if cache is not None:
            k, v = torch.cat([cache.keys, k], 2), torch.cat([cache.values, v], 2)
        last, reach = k.shape[2] - 1, attention.band - 1
        bias = attention.bias(last - torch.arange(last + 1, device=x.device)[None])
        mixed = attention.attend(attention.rotate(q, last), attention.rotate(k, 0), v, bias)
        x = self._feed_forward(_join(x, attention.merge(mixed), self.attention_gate))
        kept = slice(max(0, k.shape[2] - reach), None)
        return x, LayerCache(k[:, :, kept], v[:, :, kept])

    def _feed_forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.narrow(self.activation(self.widen(self.ff_norm(x))))
        return _join(x, self.dropout(inner), self.ff_gate)


class GruGate(nn.Module):
    """The gate of GTrXL (arXiv 1910.06764, eq. 6-8), biased so that it starts close to the identity."""

    _IDENTITY_BIAS = 2.0

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.from_branch = nn.Linear(d_model, 3 * d_model, bias=False)
        self.from_stream = nn.Linear(d_model, 2 * d_model, bias=False)
        self.reset_to_candidate = nn.Linear(d_model, d_model, bias=False)

    def forward(self, stream: Tensor, branch: Tensor) -> Tensor:
        """Blend the branch (B, T, D) into the stream (B, T, D)."""
        reset_y, update_y, candidate_y = self.from_branch(branch).chunk(3, -1)
        reset_x, update_x = self.from_stream(stream).chunk(2, -1)
        reset = torch.sigmoid(reset_y + reset_x)
        update = torch.sigmoid(update_y + update_x - self._IDENTITY_BIAS)
        candidate = torch.tanh(candidate_y + self.reset_to_candidate(reset * stream))
        return (1.0 - update) * stream + update * candidate


def _join(stream: Tensor, branch: Tensor, gate: GruGate | None) -> Tensor:
    if gate is None:
        return stream + branch
    gated: Tensor = gate(stream, branch)
    return gated
