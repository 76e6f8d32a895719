"""Which positions may be opened: not one too many, and not one that only repeats another.

A position that is held in the direction wanted is kept before any that is new; among the new ones, and where too many
are held, conviction decides.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.market.panel import BoolArray
from src.risk.portfolio.view import conviction, tradable, view_of
from src.risk.stations.station import Review, ReviewContext


class Tradable:
    """Leaves positions as they are where a symbol cannot trade; nothing is wanted of one that is not held."""

    name = "tradable"

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets of symbols that can trade or are held; the latter to be kept."""
        can_trade, is_held = view_of(context).can_trade, context.accounts.units != 0
        return Review(np.where(can_trade | is_held, target, 0.0), "the symbol cannot trade now", is_held & ~can_trade)


class PositionCount:
    """Limits how many symbols are held."""

    name = "number of positions"

    def __init__(self, max_positions: int) -> None:
        self._most = max_positions

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets of the first `max_positions` symbols that are wanted, flat for the others."""
        moving = tradable(context, target)
        rank = np.argsort(_in_order(context, moving), axis=-1)
        is_kept = (rank < self._most) | ~view_of(context).can_trade
        return Review(np.where(is_kept, target, 0.0), f"max_positions={self._most} are held already, or surer")


class CorrelationLimit:
    """Refuses a new position that moves with one that is kept.

    A long position and a short one of symbols that move together hedge each other, and pass.
    """

    name = "correlation"

    def __init__(self, max_correlation: float) -> None:
        self._most = max_correlation

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return flat for new positions that correlate with a kept one above the limit."""
        moving, side = tradable(context, target), np.sign(target)
        is_held, order = _is_held(context, moving), _in_order(context, moving)
        kept = np.zeros_like(side)
        for place in range(side.shape[-1]):
            column = order[..., place : place + 1]
            own = np.take_along_axis(side, column, axis=-1)
            together = view_of(context).correlation[column[..., 0]] * own * kept > self._most  # (N, S)
            is_alone = ~together.any(axis=-1, keepdims=True) | np.take_along_axis(is_held, column, axis=-1)
            is_wanted = np.take_along_axis(moving, column, axis=-1) != 0
            np.put_along_axis(kept, column, np.where(is_alone & is_wanted, own, 0.0), axis=-1)
        passes = (kept != 0) | ~view_of(context).can_trade
        reason = f"it correlates above max_correlation={self._most:g} with a position that is kept"
        return Review(np.where(passes, target, 0.0), reason)


def _is_held(context: ReviewContext, moving: FloatArray) -> BoolArray:
    # In the direction wanted, (N, S).
    return np.asarray((np.sign(context.accounts.units) == np.sign(moving)) & (moving != 0))


def _in_order(context: ReviewContext, moving: FloatArray) -> NDArray[np.int64]:
    # Symbols by precedence, (N, S): held ones, then new ones, each by conviction; unwanted ones last. Ties by place.
    certain = conviction(context, moving)
    group = np.where(moving == 0, 2, np.where(_is_held(context, moving), 0, 1))
    return np.lexsort((-certain, group), axis=-1)
