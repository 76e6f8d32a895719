"""`Caps`: the largest exposure, and the largest value of a position."""

from typing import Any

from src.risk.guard import clip_exposure
from src.risk.stations.station import Review, ReviewContext

CLOSE_ENOUGH_FRAC = 0.9  # a position that fills its cap by this much is not adjusted as prices move


class Caps:
    """Clips targets to what exposure and position value allow. Without equity, only flat passes.

    Args:
        max_leverage: largest exposure either way, as a fraction of equity.
        max_position: largest value of a position, in quote currency.
    """

    name = "caps"

    def __init__(self, max_leverage: float, max_position: float) -> None:
        self._max_leverage, self._max_position = max_leverage, max_position
        self._reason = f"max_leverage={max_leverage:g} and max_position={max_position:g} allow less"

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets within both caps; where what is held fills them well enough, the target in force."""
        xp, accounts = context.xp, context.accounts
        has_equity = accounts.equity > 0
        equity = xp.where(has_equity, accounts.equity, 1.0)
        cap = xp.minimum(self._max_leverage, self._max_position / equity)
        clipped = clip_exposure(xp, target, cap)
        exposure = accounts.units * accounts.last_close / equity
        filled = xp.where(exposure * target < 0, -xp.abs(exposure), xp.abs(exposure))
        keeps = (clipped != target) & (CLOSE_ENOUGH_FRAC * cap <= filled) & (filled <= cap)
        return Review(xp.where(has_equity, xp.where(keeps, accounts.target, clipped), 0.0), self._reason)
