"""`Axis`: which parent each index of a child's dimension comes from, when weights move between shapes.

Rows of a weight are what a layer puts out, columns what it reads. A new column starts at zero, so that what was there
before computes what it did; a new row stays as the child drew it, so that it learns something of its own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Axis(NamedTuple):
    """One dimension of a child, of length n."""

    source: Tensor  # (n,) index in the parent; -1 is new
    share: Tensor  # (n,) part of its source that a reader takes from here; the parts of one source sum to 1

    @property
    def is_old(self) -> Tensor:
        """Where the child has a source, (n,)."""
        return self.source >= 0


def kept(parent: int, child: int) -> Axis:
    """Keep the first indices; the rest is new, or dropped where the child is shorter."""
    index = torch.arange(child)
    return placed(torch.where(index < parent, index, -1))


def placed(source: Tensor) -> Axis:
    """Take each index from one source, and no source twice."""
    return Axis(source, torch.ones(len(source)))


def tiled(parent: int, copies: int, rng: torch.Generator) -> Axis:
    """Repeat the whole dimension; readers take uneven parts of the copies, or these would learn the same forever."""
    parts = 0.5 + torch.rand(copies, parent, generator=rng)
    return Axis(torch.arange(parent).repeat(copies), (parts / parts.sum(0)).flatten())


def joined(first: Axis, second: Axis, first_length: int) -> Axis:
    """Append a dimension to one whose length in the parent is given."""
    moved = torch.where(second.is_old, second.source + first_length, -1)
    return Axis(torch.cat([first.source, moved]), torch.cat([first.share, second.share]))


def repeated(axis: Axis, times: int, length: int) -> Axis:
    """Return the rows of a layer that puts out several parts of one kind at once, each of this length in the parent."""
    whole = axis
    for part in range(1, times):
        whole = joined(whole, axis, part * length)
    return whole


@torch.no_grad()
def carry(parent: nn.Linear, child: nn.Linear, rows: Axis, columns: Axis) -> None:
    """Write the parent's weights into the child where rows have a source."""
    old = rows.is_old
    weight = parent.weight[rows.source[old]][:, columns.source.clamp(min=0)]
    child.weight[old] = weight * torch.where(columns.is_old, columns.share, 0.0).to(weight)
    if child.bias is not None and parent.bias is not None:
        child.bias[old] = parent.bias[rows.source[old]]
