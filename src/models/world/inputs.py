"""`WorldInputs`: what the columns that a world model reads mean to it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.config.base import require


@dataclass(frozen=True)
class WorldInputs:
    """What a world model must be told about the columns it reads and the targets it weighs.

    Attributes:
        targets: exposures of the action grid, (A,).
        scale_column: index of the feature that holds log base volatility over `typical_sigma`, unscaled; None takes
            the typical one at every bar.
        typical_sigma: standard deviation of a bar's log-return where that column is 0.
    """

    targets: tuple[float, ...]
    scale_column: int | None = None
    typical_sigma: float = 0.01

    def to_plain(self) -> dict[str, Any]:
        """Return numbers and lists only."""
        return {
            "targets": list(self.targets),
            "scale_column": self.scale_column,
            "typical_sigma": self.typical_sigma,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "WorldInputs":
        """Rebuild from `to_plain`."""
        return cls(tuple(plain["targets"]), plain["scale_column"], plain["typical_sigma"])

    def require(self, num_features: int) -> None:
        """Refuse what a model of so many features cannot read.

        Raises:
            ConfigError: there are no targets, the column does not exist, or the typical sigma is none.
        """
        column, sigma = self.scale_column, self.typical_sigma
        require(len(self.targets) > 0, "a world model needs the targets of the action grid, got none")
        require(
            column is None or 0 <= column < num_features,
            f"scale_column must name one of {num_features} features, was {column}",
        )
        require(
            0 < sigma < math.inf,
            f"typical_sigma must be > 0 and finite, was {sigma:g}; do the training prices move at all?",
        )
