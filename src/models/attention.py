"""Causal attention within a band: each bar attends to itself and the `band - 1` bars before it.

Short chunks use one dense product under a mask, long ones blocks of queries against the keys they can see, so that cost
grows with T * band instead of T². Both give the same numbers to rounding.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from src.config.schema import Attention, Position

# Below this length one masked product is faster than cutting blocks (measured on one core, band 32).
_DENSE_BARS = 191


class BandedAttention(nn.Module):
    """Multi-head attention over the band.

    Args:
        d_model: width D, a multiple of 2 * num_heads.
        num_heads: heads H.
        band: bars a query sees, itself included.
        position: rotary (Su et al. 2021, arXiv 2104.09864), linear bias (Press et al. 2022, arXiv 2108.12409), or none.
        attention: scaled dot product, or cosine with a learned temperature per head (Henry et al. 2020, 2010.04245).

    Positions count from the start of what is passed in; scores depend on their differences only, so the absolute place
    of a chunk in a series has no effect, not even on rounding.
    """

    def __init__(self, d_model: int, num_heads: int, band: int, position: Position, attention: Attention) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.band = num_heads, d_model // num_heads, band
        self.position, self.attention = position, attention
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.log_temperature = (
            nn.Parameter(torch.full((num_heads, 1, 1), math.log(self.head_dim)))
            if attention is Attention.cosine
            else None
        )
        self._tables: dict[tuple[str, int, torch.device], tuple[Tensor, ...]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Attend over a chunk: (B, T, D) -> (B, T, D)."""
        length = x.shape[1]
        q, k, v = self.project(x)
        q, k = self.rotate(q, 0), self.rotate(k, 0)
        mixed = self._dense(q, k, v) if length <= _DENSE_BARS else self._blocks(q, k, v)
        return self.merge(mixed)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scaled queries, keys and values, (B, H, T, D / H) each, positions not applied."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        if self.log_temperature is not None:
            q = functional.normalize(q, dim=-1) * self.log_temperature.exp()
            return q, functional.normalize(k, dim=-1), v
        return q * self.head_dim**-0.5, k, v

    def merge(self, mixed: Tensor) -> Tensor:
        """Join heads: (B, H, T, D / H) -> (B, T, D)."""
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

    def rotate(self, x: Tensor, start: int) -> Tensor:
        """Apply rotary positions start, start + 1, ... to (B, H, T, D / H)."""
        if self.position is not Position.rope:
            return x
        cos, sin = (table[start : start + x.shape[2]] for table in self._rotations(start + x.shape[2], x.device))
        left, right = x.chunk(2, -1)
        return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
        """Mix values; `bias` is added to the scores, minus infinity where a query may not look."""
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)

    def bias(self, distance: Tensor) -> Tensor:
        """Return the score bias of looking `distance` bars back, (..., Q, K) -> (H or 1, ..., Q, K)."""
        seen = (distance >= 0) & (distance < self.band)
        hidden = torch.zeros(distance.shape, device=distance.device).masked_fill(~seen, float("-inf"))
        if self.position is not Position.alibi:
            return hidden[None]
        slopes = 2.0 ** (-8.0 * torch.arange(1, self.num_heads + 1, device=distance.device) / self.num_heads)
        return hidden - slopes.view(-1, *[1] * distance.dim()) * distance.clamp_min(0)

    def _dense(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.attend(q, k, v, self._dense_bias(q.shape[2], q.device))

    def _blocks(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        batch, heads, length, dim = q.shape
        size, reach = max(self.band, 32), self.band - 1
        blocks = -(-length // size)
        tail = blocks * size - length
        q = functional.pad(q, (0, 0, 0, tail)).view(batch, heads, blocks, size, dim)
        keys, values = (
            functional.pad(x, (0, 0, reach, tail)).unfold(2, size + reach, size).transpose(-1, -2) for x in (k, v)
        )  # (B, H, blocks, size + reach, D / H) views
        bias = self._block_bias(blocks, size, q.device)
        q, keys, values = (x.transpose(1, 2).flatten(0, 1) for x in (q, keys, values))  # (B * blocks, H, ...)
        mixed = self.attend(q, keys, values, bias.repeat(batch, 1, 1, 1))
        return mixed.view(batch, blocks, heads, size, dim).transpose(1, 2).flatten(2, 3)[:, :, :length]

    def _rotations(self, length: int, device: torch.device) -> tuple[Tensor, ...]:
        def build() -> tuple[Tensor, ...]:
            half = torch.arange(0, self.head_dim, 2, dtype=torch.float64) / self.head_dim
            angle = torch.arange(length, dtype=torch.float64)[:, None] * 10_000.0**-half
            return angle.cos().float().to(device), angle.sin().float().to(device)

        return self._cached("rotations", length, device, build)

    def _dense_bias(self, length: int, device: torch.device) -> Tensor:
        def build() -> tuple[Tensor, ...]:
            rows = torch.arange(length, device=device)
            return (self.bias(rows[:, None] - rows[None]),)

        return self._cached("dense", length, device, build)[0]

    def _block_bias(self, blocks: int, size: int, device: torch.device) -> Tensor:
        def build() -> tuple[Tensor, ...]:
            query = torch.arange(blocks * size, device=device).view(blocks, size, 1)
            first = torch.arange(blocks, device=device).view(blocks, 1, 1) * size - (self.band - 1)
            key = first + torch.arange(size + self.band - 1, device=device)
            # Padding before the series is out of everyone's band.
            distance = torch.where(key >= 0, query - key, -1)
            return (self.bias(distance).transpose(0, 1).contiguous(),)  # (blocks, H or 1, size, size + band - 1)

        return self._cached("blocks", blocks, device, build)[0]

    def _cached(
        self, kind: str, length: int, device: torch.device, build: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        key = (kind, length, device)
        if key not in self._tables:
            if len(self._tables) > 64:
                self._tables.clear()
            with torch.no_grad():
                self._tables[key] = build()
        return self._tables[key]
