"""`SoundDecision`: a decision that is no number, or none of the action space, is no decision."""

from typing import Any

from src.config.trading import ActionConfig
from src.risk.stations.station import Review, ReviewContext


class SoundDecision:
    """Keeps the target in force in place of what is no decision."""

    name = "sound decision"

    def __init__(self, action: ActionConfig) -> None:
        self._low, self._high = action.bounds

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets that are exposures of the action space, with a confidence that is a number."""
        xp = context.xp
        is_sound = (self._low <= target) & (target <= self._high) & xp.isfinite(context.confidence)
        return Review(xp.where(is_sound, target, context.accounts.target), "no number, or none of the action space")
