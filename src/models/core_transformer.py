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

from src.config.model import Activation, Attention, CoreTransformerConfig, Gating, Norm, PositionEncoding
from src.models.attention import BandedAttention

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    Activation.gelu: functional.gelu,
    Activation.relu: functional.relu,
    Activation.silu: functional.silu,
}
NORMS: dict[Norm, type[nn.LayerNorm] | type[nn.RMSNorm]] = {Norm.layernorm: nn.LayerNorm, Norm.rmsnorm: nn.RMSNorm}
_DEFAULT = CoreTransformerConfig()


class StreamCache(NamedTuple):
    """What a stream remembers between bars; as plain tensors, so it can be saved and the stream resumed."""

    layers: tuple[Tensor, ...]  # per layer, keys and values of the last bars: (B, up to band - 1, 2 * D)


class CoreTransformer(nn.Module):
    """Pre-norm transformer (Xiong et al. 2020, arXiv 2002.04745) with banded causal attention.

    Each of L layers sees a band of b bars, so the receptive field is L * (b - 1) + 1 bars; b is the largest for which
    that fits in `window`. Residual branches start at zero: a fresh encoder is its input projection and a norm (close
    to that with `gating=gru`). Dropout acts in train mode only, on the output of each branch.

    Args:
        input_dim: features F per bar.
        output_dim: width of the embedding.
        d_model, num_heads, ...: as in `CoreTransformerConfig`.

    Raises:
        ConfigError: a setting is out of bounds.

    Attributes:
        receptive_field: bars an embedding depends on, its own included.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        d_model: int = _DEFAULT.d_model,
        num_heads: int = _DEFAULT.num_heads,
        num_layers: int = _DEFAULT.num_layers,
        ff_dim: int = _DEFAULT.ff_dim,
        window: int = _DEFAULT.window,
        dropout: float = _DEFAULT.dropout,
        activation: Activation = _DEFAULT.activation,
        norm: Norm = _DEFAULT.norm,
        gating: Gating = _DEFAULT.gating,
        position: PositionEncoding = _DEFAULT.position,
        attention: Attention = _DEFAULT.attention,
    ) -> None:
        super().__init__()
        config = CoreTransformerConfig(
            d_model, num_heads, num_layers, ff_dim, window, dropout, activation, norm, gating, position, attention
        )
        self.input_dim, self.output_dim = input_dim, output_dim
        self.band = (window - 1) // num_layers + 1
        self.receptive_field = num_layers * (self.band - 1) + 1
        self.embed = nn.Linear(input_dim, d_model)
        self.blocks = nn.ModuleList(Block(config, self.band) for _ in range(num_layers))
        self.norm = NORMS[norm](d_model)
        self.project = nn.Identity() if output_dim == d_model else nn.Linear(d_model, output_dim)

    @classmethod
    def from_config(cls, config: CoreTransformerConfig, input_dim: int, output_dim: int) -> "CoreTransformer":
        """Build the encoder that settings or a genome describe."""
        settings = {name: value for name, value in vars(config).items() if not name.startswith("_")}
        return cls(input_dim, output_dim, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """Embed the last bar of each window: (B, T, F) -> (B, output_dim)."""
        return self.encode(x, context=x.shape[1] - 1)[:, 0]

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, output_dim).

        Bars with less than `receptive_field - 1` bars before them see a shorter past. Context bars are cheaper than
        embedded ones: each layer computes only the bars that later layers look at.
        """
        assert x.dim() == 3, f"expected (B, T, F), got {tuple(x.shape)}"
        assert x.shape[-1] == self.input_dim, f"expected {self.input_dim} features, got {x.shape[-1]}"
        assert 0 <= context < x.shape[1], f"context must be shorter than the {x.shape[1]} bars, was {context}"
        bars = x.shape[1] - context
        x = self.embed(x[:, -(bars + self.receptive_field - 1) :])
        for later, block in zip(reversed(range(len(self.blocks))), self.blocks, strict=True):
            x = block(x, min(x.shape[1], bars + later * (self.band - 1)))
        return self._finish(x)

    def step(self, x_t: Tensor, cache: StreamCache | None = None) -> tuple[Tensor, StreamCache]:
        """Embed the next bar of a stream.

        Args:
            x_t: (B, F).
            cache: what the step before returned; None starts a stream.

        Returns:
            (B, output_dim), what `encode` gives for this bar of the same series; and the cache for the next bar.
        """
        assert x_t.dim() == 2, f"expected (B, F), got {tuple(x_t.shape)}"
        x, layers = self.embed(x_t)[:, None], []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x, past = block.step(x, cache.layers[index] if cache is not None else None)
            layers.append(past)
        return self._finish(x)[:, 0], StreamCache(tuple(layers))

    def _finish(self, x: Tensor) -> Tensor:
        embedding: Tensor = self.project(self.norm(x))
        return embedding


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm, joined to the residual stream by addition or a gate."""

    def __init__(self, config: CoreTransformerConfig, band: int) -> None:
        super().__init__()
        d_model, norm = config.d_model, NORMS[config.norm]
        self.attention_norm, self.ff_norm = norm(d_model), norm(d_model)
        self.attention = BandedAttention(config, band)
        self.widen, self.narrow = nn.Linear(d_model, config.ff_dim), nn.Linear(config.ff_dim, d_model)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)
        self.activation = ACTIVATIONS[config.activation]
        self.dropout = nn.Dropout(config.dropout)
        gated = config.gating is Gating.gru
        self.attention_gate = GruGate(d_model) if gated else None
        self.ff_gate = GruGate(d_model) if gated else None

    def forward(self, x: Tensor, queries: int) -> Tensor:
        """Return the last `queries` bars: (B, T, D) -> (B, queries, D)."""
        mixed = self.attention(self.attention_norm(x), queries)
        return self._join(x[:, -queries:], mixed)

    def step(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Process one bar (B, 1, D) of a stream."""
        mixed, past = self.attention.step(self.attention_norm(x), past)
        return self._join(x, mixed), past

    def _join(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = _join(x, self.dropout(mixed), self.attention_gate)
        inner: Tensor = self.narrow(self.activation(self.widen(self.ff_norm(x))))
        return _join(x, self.dropout(inner), self.ff_gate)


class GruGate(nn.Module):
    """The gate of GTrXL (Parisotto et al. 2020, arXiv 1910.06764, eq. 6-8), biased so as to start near the identity."""

    IDENTITY_BIAS = 2.0

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
        update = torch.sigmoid(update_y + update_x - self.IDENTITY_BIAS)
        candidate = torch.tanh(candidate_y + self.reset_to_candidate(reset * stream))
        return torch.lerp(stream, candidate, update)


def _join(stream: Tensor, branch: Tensor, gate: GruGate | None) -> Tensor:
    if gate is None:
        return stream + branch
    gated: Tensor = gate(stream, branch)
    return gated
