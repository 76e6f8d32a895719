"""Causal attention within a band: each bar attends to itself and the `band - 1` bars before it.

A few queries are one product under a mask. Many are cut into blocks of about a band, each of which needs the keys of
itself and of the block before, so cost grows with T * band instead of T². Both give the same numbers to rounding.

The products are written out rather than left to `scaled_dot_product_attention`: with heads this narrow that is slower
on a CPU (`benchmarks/speed/encoder.py`), and its fast kernels have no second derivative, which meta-learning needs.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from src.config.model import Attention, CoreTransformerConfig, PositionEncoding

_SMALLEST_BLOCK = 16  # below this, overhead outweighs the scores that are saved
_ROTATION_BASE = 10_000.0


class BandedAttention(nn.Module):
    """Multi-head attention over a band of bars.

    Positions are rotary (Su et al. 2021, arXiv 2104.09864), a linear bias (Press et al. 2022, arXiv 2108.12409), or
    none. They count from the oldest key of each product, never from the start of a series, so that no embedding
    depends on where in a series a bar lies, not even by rounding.

    Scores are scaled dot products, or cosines times a learned scale per head (Henry et al. 2020, arXiv 2010.04245).

    Args:
        config: of the encoder.
        band: bars a query sees, itself included.
    """

    def __init__(self, config: CoreTransformerConfig, band: int) -> None:
        super().__init__()
        d_model = config.d_model
        self.num_heads, self.head_dim, self.band = config.num_heads, d_model // config.num_heads, band
        self.position = config.position
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        # Starts where random cosines, of deviation head_dim ** -0.5, get the unit deviation of scaled dot products.
        start = torch.full((self.num_heads, 1, 1), 0.5 * math.log(self.head_dim))
        self.log_scale = nn.Parameter(start) if config.attention is Attention.cosine else None

    def forward(self, x: Tensor, queries: int) -> Tensor:
        """Attend from the last `queries` bars: (B, T, D) -> (B, queries, D)."""
        q, keys_values = self._project(x)
        return self._merge(self._band(q[:, -queries:], keys_values))

    def step(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attend from one bar (B, 1, D) to itself and `past`, what this returned for the bar before.

        Returns:
            The mixed bar (B, 1, D), and keys and values of the last `band - 1` bars, (B, up to band - 1, 2 * D). Keys
            are kept without positions: however long the stream, no rounding accumulates.
        """
        q, keys_values = self._project(x)
        if past is not None:
            keys_values = torch.cat([past, keys_values], 1)
        return self._merge(self._product(q, keys_values)), keys_values[:, 1 - self.band :]

    def tables(self, queries: int, keys: int) -> tuple[Tensor | None, Tensor]:
        """Return the constants of one product on the CPU: rotations of the keys, and what is added to scores.

        (K, D / H / 2) complex, None where positions are not rotary; and (H, Q, K) or (Q, K).
        """
        device = torch.device("cpu")
        turns = _turns(keys, self.head_dim, device) if self.position is PositionEncoding.rope else None
        if self.position is PositionEncoding.alibi:
            return turns, _sloped_bias(self.num_heads, queries, keys, self.band, device)
        return turns, _band_bias(queries, keys, self.band, device)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        d_model = x.shape[-1]
        q, keys_values = self.qkv(x).split([d_model, 2 * d_model], -1)
        return q, keys_values

    def _merge(self, mixed: Tensor) -> Tensor:
        merged: Tensor = self.out(mixed)
        return merged

    def _band(self, q: Tensor, keys_values: Tensor) -> Tensor:
        # (B, Q, D) and (B, K, 2 D) -> (B, Q, D); queries are the last Q of the K bars.
        queries, before = q.shape[1], keys_values.shape[1] - q.shape[1]
        if queries <= self._block_size:
            return self._product(q, keys_values)
        cut = max(0, self.band - 1 - before)  # queries whose band begins before the first bar
        if cut == 0:
            return self._blocks(q, keys_values)
        first = self._product(q[:, :cut], keys_values[:, : before + cut])
        return torch.cat([first, self._blocks(q[:, cut:], keys_values)], 1)

    @property
    def _block_size(self) -> int:
        return max(self.band, _SMALLEST_BLOCK)

    def _blocks(self, q: Tensor, keys_values: Tensor) -> Tensor:
        batch, queries, width = q.shape
        size = self._block_size
        blocks = -(-queries // size)
        missing = size - (keys_values.shape[1] - queries)  # bars before the first query, to fill the block before it
        tail = blocks * size - queries
        q = functional.pad(q, (0, 0, 0, tail)).reshape(batch * blocks, size, width)
        own = functional.pad(keys_values, (0, 0, missing, tail)).reshape(batch, blocks + 1, size, 2 * width)
        seen = torch.cat([own[:, :-1], own[:, 1:]], 2).flatten(0, 1)  # (B * blocks, 2 * size, 2 * D)
        return self._product(q, seen).reshape(batch, blocks * size, width)[:, :queries]

    def _product(self, q: Tensor, keys_values: Tensor) -> Tensor:
        # (B, Q, D) and (B, K, 2 D) -> (B, Q, D); queries are the last Q of the K bars.
        batch, queries, width = q.shape
        keys = keys_values.shape[1]
        query = self._placed(self._split_heads(q, 1)[0], keys - queries)
        key, value = self._split_heads(keys_values, 2)
        key, scale = self._placed(key, 0), self.head_dim**-0.5
        if self.log_scale is not None:
            query = functional.normalize(query, dim=-1) * self.log_scale.exp().repeat(batch, 1, 1)
            key, scale = functional.normalize(key, dim=-1), 1.0
        scores = torch.baddbmm(self._bias(query, keys), query, key.transpose(1, 2), alpha=scale)
        mixed = torch.bmm(scores.softmax(-1), value).view(batch, self.num_heads, queries, self.head_dim)
        return mixed.transpose(1, 2).reshape(batch, queries, width)

    def _split_heads(self, x: Tensor, parts: int) -> Tensor:
        # (B, T, parts * D) -> (parts, B * H, T, D / H)
        batch, length, _ = x.shape
        split = x.reshape(batch, length, parts, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        return split.reshape(parts, batch * self.num_heads, length, self.head_dim)

    def _placed(self, x: Tensor, start: int) -> Tensor:
        # Rotates (..., T, D / H) to the positions start, start + 1, ...: pairs of numbers as complex ones.
        if self.position is not PositionEncoding.rope:
            return x
        turns = _turns(start + x.shape[-2], self.head_dim, x.device)[start:]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # there are no complex numbers of half precision
        pairs = torch.view_as_complex(wide.reshape(*x.shape[:-1], self.head_dim // 2, 2))
        return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)

    def _bias(self, query: Tensor, keys: int) -> Tensor:
        # Broadcasts against scores (B * H, Q, K).
        copies, queries, device = query.shape[0] // self.num_heads, query.shape[1], query.device
        if self.position is not PositionEncoding.alibi:
            return _band_bias(queries, keys, self.band, device).to(query.dtype)
        sloped = _sloped_bias(self.num_heads, queries, keys, self.band, device)
        return sloped.to(query.dtype).repeat(copies, 1, 1)


# The tables below are constants, shared by all layers and models and kept out of their state. The sizes asked for are
# few: blocks have one size, streams and short chunks have at most a block's. `inference_mode(False)` because a table
# first asked for while only predicting must serve training later.


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def _turns(length: int, head_dim: int, device: torch.device) -> Tensor:
    """Return the rotations of `length` positions, (length, head_dim / 2) complex."""
    rates = _ROTATION_BASE ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.polar(torch.ones_like(angles), angles).to(device, torch.complex64)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def _band_bias(queries: int, keys: int, band: int, device: torch.device) -> Tensor:
    """Return 0 where a query may look and minus infinity elsewhere, (Q, K)."""
    distance = _distance(queries, keys)
    hidden = (distance < 0) | (distance >= band)
    return torch.zeros(queries, keys).masked_fill(hidden, -math.inf).to(device)


@lru_cache(maxsize=256)
@torch.inference_mode(False)
def _sloped_bias(num_heads: int, queries: int, keys: int, band: int, device: torch.device) -> Tensor:
    """Return the band's bias with a penalty on distance that halves from head to head as in the paper, (H, Q, K)."""
    slopes = 2.0 ** (-8.0 * torch.arange(1, num_heads + 1) / num_heads)
    sloped = -slopes[:, None, None] * _distance(queries, keys)
    return sloped.to(device) + _band_bias(queries, keys, band, device)


def _distance(queries: int, keys: int) -> Tensor:
    rows = torch.arange(keys)
    return rows[keys - queries :, None] - rows[None]
