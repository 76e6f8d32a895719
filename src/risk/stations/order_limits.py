"""`PriceBand` and `OrdersPerHour`: when nothing may be opened. What closes or reduces a position passes."""

from typing import Any

from src.risk.stations.station import Review, ReviewContext

HOUR_MS = 3_600_000


class PriceBand:
    """Opens nothing at a close that lies too far from the one before."""

    name = "price band"

    def __init__(self, price_band_frac: float) -> None:
        self._band = price_band_frac
        self._reason = f"the close moved by more than price_band_frac={price_band_frac:g}; nothing is opened"

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets that need no opening where the price jumped."""
        xp = context.xp
        jump = xp.abs(context.accounts.last_close / context.prior_close - 1.0)
        return without_opening(target, context, xp.logical_not(jump <= self._band), self._reason)


class OrdersPerHour:
    """Opens nothing once the orders of an hour are used up."""

    name = "orders an hour"

    def __init__(self, max_orders_per_hour: int) -> None:
        self._limit = max_orders_per_hour
        self._reason = f"max_orders_per_hour={max_orders_per_hour} is used up; nothing is opened"

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets that need no opening where the orders are used up."""
        return without_opening(target, context, context.orders_last_hour >= self._limit, self._reason)


def without_opening(target: Any, context: ReviewContext, forbidden: Any, reason: str) -> Review:
    """Return targets whose orders do not enlarge a position where that is forbidden.

    What would turn a position around becomes flat; what would enlarge one, an order that restores an unchanged target
    included, is left undone.
    """
    xp, accounts = context.xp, context.accounts
    if not xp.any(forbidden):
        return Review(target, reason)
    after = accounts.units + context.order(target)
    turns = forbidden & (after * accounts.units < 0)
    hold = forbidden & xp.logical_not(turns) & (xp.abs(after) > xp.abs(accounts.units))
    return Review(xp.where(turns, 0.0, xp.where(hold, accounts.target, target)), reason, hold)
