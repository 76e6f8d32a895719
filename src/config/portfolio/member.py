"""A member as data: `config/members/*.yaml`."""

from dataclasses import dataclass
from enum import Enum

from src.config.base import Schema, require


class MemberKind(Enum):
    """What decides."""

    baseline = "baseline"
    sleeves = "sleeves"


@dataclass
class MemberConfig(Schema):
    """Who decides over a portfolio.

    Attributes:
        name: of a baseline of portfolios; for sleeves, of a baseline of single symbols that trades each one for itself,
            `champion` for the champion of each, or a model file (.pth) that trades all, such as one trained on several
            symbols.
        lookback_bars, every_bars: of a baseline, instead of its own.
        share: of the equity that each sleeve trades; null shares it evenly.
    """

    kind: MemberKind = MemberKind.baseline
    name: str = "equal_weight"
    lookback_bars: int | None = None
    every_bars: int | None = None
    share: float | None = None

    def check(self) -> None:
        for name in ("lookback_bars", "every_bars"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"{name} must be >= 1 or null, was {value}")
            require(
                value is None or self.kind is MemberKind.baseline,
                f"{name} belongs to kind=baseline, was {value} with kind={self.kind.value}; leave it out",
            )
        if self.share is not None:
            require(
                self.kind is MemberKind.sleeves,
                f"share belongs to kind=sleeves, was {self.share} with kind={self.kind.value}; leave it out",
            )
            require(0 < self.share <= 1, f"share must lie in (0, 1], was {self.share:g}")
