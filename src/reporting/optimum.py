"""`Optimum`: what an account earned beside the best policy there is, on a generated market where that is known."""

from dataclasses import dataclass
from typing import Any

from src.reporting.formats import number


@dataclass(frozen=True)
class Optimum:
    """Mean log-returns per bar in basis points, after costs, over the same bars.

    Attributes:
        market: name of the generated market.
        earned_bps: by what the account decided.
        best_bps: by the optimal policy, which knows how the market is made but not what comes; 0 where it is best not
            to trade.
    """

    market: str
    earned_bps: float
    best_bps: float

    @property
    def reached(self) -> float | None:
        """The fraction of the optimum that was earned; None where the optimum earned nothing."""
        return self.earned_bps / self.best_bps if self.best_bps > 0 else None

    @property
    def sentence(self) -> str:
        """What was earned of what could be."""
        earned = f"{number(self.earned_bps)} bps a bar after costs"
        if self.reached is None:
            return f"The optimal policy of {self.market} earns nothing on these bars; this account {earned}."
        return (
            f"Reached {number(self.reached)} of the optimum: {earned}, where the optimal policy of {self.market}"
            f" earns {number(self.best_bps)} on the same bars."
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the figures for `summary.json`."""
        return {
            "market": self.market,
            "earned_bps": self.earned_bps,
            "best_bps": self.best_bps,
            "reached": self.reached,
        }
