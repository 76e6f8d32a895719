"""`AxisMap`: which parent each index of a child's dimension comes from, when weights move between shapes.

Rows of a weight are the outputs of a layer, columns its inputs. A new column starts at zero, so that the rest computes
what it did before; a new row keeps the child's random weights, so that it learns something of its own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class AxisMap(NamedTuple):
    """One dimension of a child, of length n."""

    source: Tensor  # (n,) index in the parent; -1 is new
    share: Tensor  # (n,) factor on the weights that read this index; the factors of one source sum to 1

    @property
    def is_old(self) -> Tensor:
        """Where the child has a source, (n,)."""
        return self.source >= 0


def keep_first(parent: int, child: int) -> AxisMap:
    """Keep the first indices; the rest is new, or dropped where the child is shorter."""
    index = torch.arange(child)
    return from_sources(torch.where(index < parent, index, -1))


def from_sources(source: Tensor) -> AxisMap:
    """Take each index from its source (n,), -1 for none, and no source twice."""
    return AxisMap(source, torch.ones(len(source)))


def tile(parent: int, copies: int, rng: torch.Generator) -> AxisMap:
    """Repeat the whole dimension; shares are uneven, or the copies would learn the same forever."""
    parts = 0.5 + torch.rand(copies, parent, generator=rng)
    return AxisMap(torch.arange(parent).repeat(copies), (parts / parts.sum(0)).flatten())


def concatenate(first: AxisMap, second: AxisMap, first_length: int) -> AxisMap:
    """Append a dimension to one whose length in the parent is given."""
    moved = torch.where(second.is_old, second.source + first_length, -1)
    return AxisMap(torch.cat([first.source, moved]), torch.cat([first.share, second.share]))


def repeat_parts(axis: AxisMap, times: int, length: int) -> AxisMap:
    """Repeat a dimension for a layer that computes several parts of the same kind, each of `length` in the parent."""
    whole = axis
    for part in range(1, times):
        whole = concatenate(whole, axis, part * length)
    return whole


@torch.no_grad()
def copy_weights(parent: nn.Linear, child: nn.Linear, rows: AxisMap, columns: AxisMap) -> None:
    """Write the parent's weights into the child's rows that have a source."""
    old = rows.is_old
    weight = parent.weight[rows.source[old]][:, columns.source.clamp(min=0)]
    child.weight[old] = weight * torch.where(columns.is_old, columns.share, 0.0).to(weight)
    if child.bias is not None and parent.bias is not None:
        child.bias[old] = parent.bias[rows.source[old]]
