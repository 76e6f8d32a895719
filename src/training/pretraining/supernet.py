"""`SuperTrunk`: all encoders of a search space that have one width, as one encoder with shared weights.

Wherever two of them would compute different things, all are computed and averaged, with a weight per value of the gene
that decides it (Liu, Simonyan and Yang 2019, DARTS, arXiv 1806.09055). So the embedding is differentiable in the
weights of the genes, and where every gene has all its weight on one value it is that of the plain `CoreTransformer`,
whose parts these are.

A gene holds for every layer, so it has the same weights in every layer. Depths are mixed last: each has a band of its
own, and runs through the first layers with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import torch
from torch import Tensor, nn

from src.config.model import Activation, Attention, CoreTransformerConfig, Gating, Norm, PositionEncoding
from src.models.attention import BandedAttention
from src.models.core_transformer import ACTIVATIONS, NORMS, GruGate
from src.nas.genes import Value

RELAXED = ("num_layers", "activation", "norm", "gating", "position", "attention")  # the genes it can mix

Options = Mapping[str, Sequence[Value]]  # by gene
Weights = Mapping[str, Tensor]  # by gene, in the order of its K options and adding up to 1: (K,), or (B, K) by series


class SuperTrunk(nn.Module):
    """The encoder under a world model while an architecture is looked for.

    Args:
        core: width, heads and window of all encoders.
        options: values of every gene of `RELAXED`.
        input_dim: features F per bar.

    Attributes:
        weights: those of every gene at present; at first all options have the same.
        receptive_field: bars the deepest-looking encoder depends on, its own included.
    """

    def __init__(self, core: CoreTransformerConfig, options: Options, input_dim: int) -> None:
        super().__init__()
        self.weights: Weights = {name: torch.full((len(options[name]),), 1.0 / len(options[name])) for name in RELAXED}
        depths = [int(depth) for depth in options["num_layers"]]
        self._bands = {depth: (core.window - 1) // depth + 1 for depth in depths}
        self.receptive_field = max(depth * (band - 1) + 1 for depth, band in self._bands.items())
        self.embed = nn.Linear(input_dim, core.d_model)
        bands = sorted(set(self._bands.values()))
        self.blocks = nn.ModuleList(SuperBlock(core, options, bands) for _ in range(max(depths)))
        self.norm = MixedNorm(core.d_model, options["norm"])

    def encode(self, x: Tensor, context: int = 0) -> Tensor:
        """Embed every bar after the first `context`: (B, T, F) -> (B, T - context, D)."""
        return weighted_sum(self.weights["num_layers"], (self._at_depth(depth, x, context) for depth in self._bands))

    def _at_depth(self, depth: int, x: Tensor, context: int) -> Tensor:
        bars, back = x.shape[1] - context, self._bands[depth] - 1
        x = self.embed(x[:, -(bars + depth * back) :])
        for layer, block in enumerate(self.blocks[:depth], start=1):
            x = block(x, min(x.shape[1], bars + (depth - layer) * back), back + 1, self.weights)
        embedding: Tensor = self.norm(x, self.weights)
        return embedding


class SuperBlock(nn.Module):
    """Every layer that `Block` can be."""

    def __init__(self, core: CoreTransformerConfig, options: Options, bands: Sequence[int]) -> None:
        super().__init__()
        d_model = core.d_model
        self.attention_norm, self.ff_norm = MixedNorm(d_model, options["norm"]), MixedNorm(d_model, options["norm"])
        self.attention = MixedAttention(core, options, bands)
        self.widen, self.narrow = nn.Linear(d_model, core.ff_dim), nn.Linear(core.ff_dim, d_model)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)
        self.dropout = nn.Dropout(core.dropout)
        self.attention_join, self.ff_join = MixedJoin(d_model, options["gating"]), MixedJoin(d_model, options["gating"])
        self._activations = [ACTIVATIONS[Activation(value)] for value in options["activation"]]

    def forward(self, x: Tensor, queries: int, band: int, weights: Weights) -> Tensor:
        """Return the last `queries` bars: (B, T, D) -> (B, queries, D)."""
        branch = self.attention(self.attention_norm(x, weights), queries, band, weights)
        x = self.attention_join(x[:, -queries:], self.dropout(branch), weights)
        wide = self.widen(self.ff_norm(x, weights))
        inner = self.narrow(weighted_sum(weights["activation"], (activation(wide) for activation in self._activations)))
        joined: Tensor = self.ff_join(x, self.dropout(inner), weights)
        return joined


class MixedNorm(nn.Module):
    """Every norm, each with its own scale."""

    def __init__(self, d_model: int, options: Sequence[Value]) -> None:
        super().__init__()
        self.alternatives = nn.ModuleList(NORMS[Norm(value)](d_model) for value in options)

    def forward(self, x: Tensor, weights: Weights) -> Tensor:
        """Return (B, T, D) of (B, T, D)."""
        return weighted_sum(weights["norm"], (way(x) for way in self.alternatives))


class MixedJoin(nn.Module):
    """Every way to join a branch to the residual stream."""

    def __init__(self, d_model: int, options: Sequence[Value]) -> None:
        super().__init__()
        self.gate = GruGate(d_model)
        self._gated = [Gating(value) is Gating.gru for value in options]

    def forward(self, stream: Tensor, branch: Tensor, weights: Weights) -> Tensor:
        """Return (B, T, D) of two (B, T, D)."""
        return weighted_sum(
            weights["gating"], (self.gate(stream, branch) if g else stream + branch for g in self._gated)
        )


class MixedAttention(nn.Module):
    """Attention of every kind, position and band, all with the same projections."""

    def __init__(self, core: CoreTransformerConfig, options: Options, bands: Sequence[int]) -> None:
        super().__init__()
        self._pairs = list(product(options["attention"], options["position"]))
        self.alternatives = nn.ModuleDict()
        shared = {kind: BandedAttention(replace(core, attention=kind), 1) for kind in Attention}
        for (kind, position), band in product(self._pairs, bands):
            settings = replace(core, attention=Attention(kind), position=PositionEncoding(position))
            way = self.alternatives[_alternative(kind, position, band)] = BandedAttention(settings, band)
            way.qkv, way.out = shared[Attention.dot].qkv, shared[Attention.dot].out
            way.log_scale = shared[settings.attention].log_scale

    def forward(self, x: Tensor, queries: int, band: int, weights: Weights) -> Tensor:
        """Attend from the last `queries` bars: (B, T, D) -> (B, queries, D)."""
        both = (weights["attention"][..., :, None] * weights["position"][..., None, :]).flatten(-2)
        return weighted_sum(both, (self.alternatives[_alternative(*pair, band)](x, queries) for pair in self._pairs))


def weighted_sum(weights: Tensor, alternatives: Iterable[Tensor]) -> Tensor:
    """Return the sum of K tensors (B, T, D), each times its weight, (K,) or (B, K)."""
    terms = [weight[..., None, None] * way for weight, way in zip(weights.unbind(-1), alternatives, strict=True)]
    return torch.stack(terms).sum(0) if len(terms) > 1 else terms[0]


def _alternative(kind: Value, position: Value, band: int) -> str:
    return f"{kind}_{position}_{band}"
