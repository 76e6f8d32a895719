"""Caps on a position, on a sector, and on what all positions add up to."""

from typing import Any

import numpy as np

from src.risk.guard import clip_exposure
from src.risk.portfolio.view import held_exposure, scaled_to, tradable, view_of
from src.risk.stations.station import Review, ReviewContext


class PositionCap:
    """Clips each target."""

    name = "position cap"

    def __init__(self, max_position_frac: float) -> None:
        self._cap = max_position_frac

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets within ± the cap."""
        return Review(clip_exposure(np, target, self._cap), f"max_position_frac={self._cap:g} allows less of a symbol")


class SectorCap:
    """Scales the targets of a sector alike, long and short ones counted by their size."""

    name = "sector cap"

    def __init__(self, max_sector_frac: float) -> None:
        self._cap = max_sector_frac

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return targets whose sizes add up to no more than the cap in any sector."""
        sectors = view_of(context).sectors
        is_same = (sectors[:, None] == sectors).astype(np.float64)
        total = np.abs(tradable(context, target)) @ is_same
        return Review(
            scaled_to(context, target, total, self._cap), f"max_sector_frac={self._cap:g} allows less of a sector"
        )


class GrossCap:
    """Scales all targets alike."""

    name = "gross cap"

    def __init__(self, max_gross: float) -> None:
        self._cap = max_gross

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return targets whose sizes add up to no more than the cap."""
        total = np.abs(tradable(context, target)).sum(axis=-1, keepdims=True)
        return Review(scaled_to(context, target, total, self._cap), f"max_gross={self._cap:g} allows less in all")


class NetCap:
    """Scales the larger of the two sides, long and short."""

    name = "net cap"

    def __init__(self, max_net: float) -> None:
        self._cap = max_net

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return targets whose sum lies within ± the cap."""
        moving = tradable(context, target)
        long = np.maximum(moving, 0.0).sum(axis=-1, keepdims=True)
        short = np.maximum(-moving, 0.0).sum(axis=-1, keepdims=True)
        fewer_long = scaled_to(context, target, long, short + self._cap)
        fewer_short = scaled_to(context, target, short, long + self._cap)
        return Review(np.where(target > 0, fewer_long, fewer_short), f"max_net={self._cap:g} allows less on one side")


class CashFloor:
    """Scales long targets, so that a part of the equity stays in cash; what shorts bring in does not count as such."""

    name = "cash floor"

    def __init__(self, min_cash_frac: float) -> None:
        self._floor = min_cash_frac

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return targets whose long part leaves the floor, what is held of symbols that cannot trade included."""
        can_trade = view_of(context).can_trade
        stuck = np.where(can_trade, 0.0, np.maximum(held_exposure(context), 0.0)).sum(axis=-1, keepdims=True)
        long = np.maximum(tradable(context, target), 0.0).sum(axis=-1, keepdims=True)
        fewer = scaled_to(context, target, long, 1.0 - self._floor - stuck)
        return Review(np.where(target > 0, fewer, target), f"min_cash_frac={self._floor:g} of the equity stays in cash")
