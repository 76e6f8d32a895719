"""Settings of the network under every agent."""

from dataclasses import dataclass, field
from enum import Enum

from src.config.base import Schema, require, require_at_least, require_between


class Trunk(Enum):
    """Sequence encoder under the policy. `lstm` and `gru` exist as controls of the transformer."""

    transformer = "transformer"
    lstm = "lstm"
    gru = "gru"


class Activation(Enum):
    """Non-linearity of the feed-forward layers."""

    gelu = "gelu"
    relu = "relu"
    silu = "silu"


class Norm(Enum):
    """Normalisation before each sub-layer."""

    layernorm = "layernorm"
    rmsnorm = "rmsnorm"


class Gating(Enum):
    """How a sub-layer's output joins the residual stream."""

    none = "none"
    gru = "gru"


class PositionEncoding(Enum):
    """How attention knows distance."""

    rope = "rope"
    alibi = "alibi"
    none = "none"


class Attention(Enum):
    """Attention score: scaled dot product, or cosine with a learned temperature."""

    dot = "dot"
    cosine = "cosine"


@dataclass
class CoreTransformerConfig(Schema):
    """The encoder under every agent; also the genome architecture search mutates."""

    d_model: int = 32
    num_heads: int = 4
    num_layers: int = 2
    ff_dim: int = 128
    window: int = 64
    dropout: float = 0.0
    activation: Activation = Activation.gelu
    norm: Norm = Norm.layernorm
    gating: Gating = Gating.none
    position: PositionEncoding = PositionEncoding.rope
    attention: Attention = Attention.dot

    def check(self) -> None:
        for name in ("d_model", "num_heads", "num_layers", "ff_dim", "window"):
            require_at_least(f"model.core.{name}", getattr(self, name), 1)
        require(
            self.d_model % (2 * self.num_heads) == 0,
            f"model.core.d_model must be a multiple of 2 * num_heads, was {self.d_model} with {self.num_heads} heads",
        )
        require_between("model.core.dropout", self.dropout, 0.0, 0.9)
        require(
            self.window >= self.num_layers + 1,
            f"model.core.window must be >= num_layers + 1 = {self.num_layers + 1}, was {self.window}",
        )


@dataclass
class ModelConfig(Schema):
    """Trunk, heads, and what joins them."""

    trunk: Trunk = Trunk.transformer
    core: CoreTransformerConfig = field(default_factory=CoreTransformerConfig)
    head_dim: int = 64
    embedding_scale: float = 0.3
    feature_skip: bool = True

    def check(self) -> None:
        require_at_least("model.head_dim", self.head_dim, 1)
        require(self.embedding_scale > 0, f"model.embedding_scale must be > 0, was {self.embedding_scale:g}")
