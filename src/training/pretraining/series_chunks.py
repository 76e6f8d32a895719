"""Series to predict, cut in time and into chunks: what world models and supernets learn from."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.errors import DataError
from src.models.world.targets import WorldTargets


class WorldSeries(NamedTuple):
    """Training rows of one series and what came after them."""

    features: Tensor  # (T, F) float32
    targets: WorldTargets  # (T, ...); `before(len(features), horizons)` hides what lies beyond the training rows


class WorldSplit(NamedTuple):
    """One series, cut in time."""

    earlier: WorldSeries  # no future of its bars reaches into the later part
    later: WorldSeries  # begins with the context of its first bar, whose own futures are unknown


def split_series(own: WorldSeries, later_frac: float, context: int, horizons: Sequence[int]) -> WorldSplit:
    """Hold back the end of a series, a bar at least."""
    bars = len(own.features)
    cut = bars - max(1, round(later_frac * bars))
    earlier = WorldSeries(own.features[:cut], own.targets.rows(slice(0, cut)).before(cut, horizons))
    back = max(0, cut - context)
    held_back = own.targets.rows(slice(back, bars)).after(cut - back)
    return WorldSplit(earlier, WorldSeries(own.features[back:], held_back))


class WorldChunks:
    """All bars of several series one after the other, cut at random; chunks never cross from one series into another.

    Args:
        context: bars of a chunk before the first whose future is predicted.
        length: bars whose future is predicted.

    Raises:
        DataError: no series is long enough for a chunk.
    """

    def __init__(self, series: Sequence[WorldSeries], context: int, length: int) -> None:
        usable = [own for own in series if len(own.features) >= context + length]
        if not usable:
            longest = max((len(own.features) for own in series), default=0)
            raise DataError(
                f"a world model is trained on chunks of {length} bars after {context} bars of context, the longest"
                f" series has {longest}; give more bars, or set chunk_bars or the window lower"
            )
        self.context, self._length = context, length
        self._features = torch.cat([own.features for own in usable])
        self._targets = WorldTargets(*(torch.cat(column) for column in zip(*(s.targets for s in usable), strict=True)))
        starts, first = [], 0
        for own in usable:
            starts.append(torch.arange(first, first + len(own.features) - context - length + 1))
            first += len(own.features)
        self._starts = torch.cat(starts)
        self.bars = first

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, WorldTargets]:
        """Return features (count, context + length, F), and targets (count, length, ...) of the bars after context."""
        chosen = self._starts[torch.randint(len(self._starts), (count,), generator=generator)]
        rows = chosen[:, None] + torch.arange(self.context + self._length)
        return self._features[rows], self._targets.rows(rows[:, self.context :])
