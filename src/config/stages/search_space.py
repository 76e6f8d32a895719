"""Settings of architecture search: what a genome may choose from, under the rules of `base.py`."""

from dataclasses import dataclass, field
from typing import ClassVar

from src.config.base import Schema, require, require_at_least, require_known
from src.config.model import Activation, Attention, Gating, Norm, PositionEncoding


@dataclass
class SearchSpaceConfig(Schema):
    """What architecture search may choose from: lists of values, and ranges as [low, high].

    A model is num_heads * head_dim wide and its feed-forward layers ff_ratio times that, so every combination is valid.
    """

    ARCHITECTURE: ClassVar = ("num_layers", "num_heads", "head_dim", "ff_ratio", "window")
    NAMES: ClassVar = {
        "activation": Activation,
        "norm": Norm,
        "gating": Gating,
        "position": PositionEncoding,
        "attention": Attention,
    }
    CHOICES: ClassVar = ("gamma", "epochs", "minibatches", "weight_decay")
    RANGES: ClassVar = ("lr", "entropy", "gae_lambda", "clip", "embedding_dropout")
    LOG_RANGES: ClassVar = ("lr", "entropy")  # of which values are drawn evenly by their logarithm

    num_layers: list[int] = field(default_factory=lambda: [1, 2, 3])
    num_heads: list[int] = field(default_factory=lambda: [1, 2, 4, 8])
    head_dim: list[int] = field(default_factory=lambda: [4, 8, 16])
    ff_ratio: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0])
    window: list[int] = field(default_factory=lambda: [16, 32, 64])
    activation: list[str] = field(default_factory=lambda: ["gelu", "relu", "silu"])
    norm: list[str] = field(default_factory=lambda: ["layernorm", "rmsnorm"])
    gating: list[str] = field(default_factory=lambda: ["none", "gru"])
    position: list[str] = field(default_factory=lambda: ["rope", "alibi", "none"])
    attention: list[str] = field(default_factory=lambda: ["dot", "cosine"])
    memory_size: list[int] = field(default_factory=lambda: [0, 256, 1024])
    modules: list[str] = field(default_factory=lambda: ["regime", "pattern", "imagination"])
    gamma: list[float] = field(default_factory=lambda: [0.9, 0.95, 0.98, 0.99])
    epochs: list[int] = field(default_factory=lambda: [1, 2, 4])
    minibatches: list[int] = field(default_factory=lambda: [2, 4, 8])
    weight_decay: list[float] = field(default_factory=lambda: [0.0, 1e-4, 1e-2])
    lr: list[float] = field(default_factory=lambda: [1e-5, 3e-2])
    entropy: list[float] = field(default_factory=lambda: [0.01, 0.5])
    gae_lambda: list[float] = field(default_factory=lambda: [0.8, 1.0])
    clip: list[float] = field(default_factory=lambda: [0.1, 0.4])
    embedding_dropout: list[float] = field(default_factory=lambda: [0.0, 0.5])

    def check(self) -> None:
        for name in (*self.ARCHITECTURE, *self.NAMES, "memory_size", *self.CHOICES):
            values = getattr(self, name)
            require(
                len(values) > 0 and len(set(values)) == len(values),
                f"search.{name} must list distinct values, was {values}",
            )
        for name in ("num_layers", "num_heads", "head_dim", "epochs", "minibatches"):
            require_at_least(f"search.{name}", min(getattr(self, name)), 1)
        require(min(self.ff_ratio) > 0, f"search.ff_ratio must be > 0, was {self.ff_ratio}")
        require(all(width % 2 == 0 for width in self.head_dim), f"search.head_dim must be even, was {self.head_dim}")
        require_at_least("search.window", min(self.window), max(self.num_layers) + 1)
        require_at_least("search.memory_size", min(self.memory_size), 0)
        for name, kind in self.NAMES.items():
            require_known(f"search.{name}", getattr(self, name), [member.value for member in kind])
        for name in self.RANGES:
            bounds = getattr(self, name)
            require(
                len(bounds) == 2 and bounds[0] < bounds[1],
                f"search.{name} must be [low, high], low < high, was {bounds}",
            )
        for name in self.LOG_RANGES:
            require(getattr(self, name)[0] > 0, f"search.{name} must begin above 0, was {getattr(self, name)}")
