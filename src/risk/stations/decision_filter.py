"""`DecisionFilter`: follows decisions only if they are sure enough, and not more often than wanted."""

from collections.abc import Mapping
from typing import Any

from src.risk.stations.station import Review, ReviewContext


class DecisionFilter:
    """Keeps the target in force unless a new one is sure enough and the last change of target is long enough ago.

    Going flat is always followed, and so is the decision that was followed last: an order of it that was held back may
    still come.

    Args:
        min_confidence: below this a decision is not followed; 0 follows all.
        cool_down_bars: bars after a change of target in which it is not changed again; 0 for none.
    """

    name = "decision filter"

    def __init__(self, min_confidence: float, cool_down_bars: int) -> None:
        self._min_confidence, self._cool_down = min_confidence, cool_down_bars
        self._unsure = f"the confidence is below min_confidence={min_confidence:g}"
        self._hasty = f"the target was changed less than cool_down_bars={cool_down_bars} bars ago"
        # Numbers that broadcast, until the first decision gives them the accounts' shape.
        self._followed: Any = 0.0
        self._waited: Any = float(cool_down_bars)

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the decisions that are followed, elsewhere the targets in force."""
        xp = context.xp
        is_sure, has_waited = context.confidence >= self._min_confidence, self._waited >= self._cool_down
        follows = (is_sure & has_waited) | (target == self._followed) | (target == 0)
        is_new = follows & (target != self._followed)
        self._followed = xp.where(follows, target, self._followed)
        self._waited = xp.where(is_new, 1.0, self._waited + 1.0)
        return Review(xp.where(follows, target, context.accounts.target), self._reason(xp, is_sure, has_waited))

    def _reason(self, xp: Any, is_sure: Any, has_waited: Any) -> str:
        if xp.all(is_sure):
            return self._hasty
        return self._unsure if xp.all(has_waited) else f"{self._unsure}, or {self._hasty}"

    def state_dict(self) -> dict[str, Any]:
        """Return the decision followed last and the bars since it changed, in the accounts' shape."""
        return {"followed": self._followed, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._followed, self._waited = state["followed"], state["waited"]
