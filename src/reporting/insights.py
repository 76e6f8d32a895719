"""`Insights`: what an agent knew at each bar of a report, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.errors import DataError
from src.market.bars import FloatArray


class Pattern(NamedTuple):
    """A pattern seen when bar `row` of the report had closed."""

    row: int
    name: str
    probability: float


@dataclass(frozen=True)
class Insights:
    """What an agent knew at each of the T bars of a report.

    Attributes:
        regimes: (T, R) probabilities that sum to 1, (T, 0) where it knows no regimes.
        regime_names: R of them.
        patterns: those seen, in any order.
        trust: (T,) in [0, 1], how far the memories recalled at a bar could be trusted, 0 where none was; None without
            a memory.

    Raises:
        DataError: shapes disagree, a value is not finite, or a pattern lies beyond the bars.
    """

    regimes: FloatArray
    regime_names: tuple[str, ...]
    patterns: Sequence[Pattern] = ()
    trust: FloatArray | None = None

    def __post_init__(self) -> None:
        bars = len(self.regimes)
        if self.regimes.shape != (bars, len(self.regime_names)):
            raise DataError(
                f"insights name {len(self.regime_names)} regimes for probabilities of shape {self.regimes.shape}; "
                "give a column for each"
            )
        if self.trust is not None and self.trust.shape != (bars,):
            raise DataError(f"insights hold {bars} bars but trust of shape {self.trust.shape}; give a value a bar")
        known = [self.regimes, *([] if self.trust is None else [self.trust])]
        if not all(np.isfinite(values).all() for values in known):
            raise DataError("insights hold NaN; give probabilities of every bar")
        odd = [pattern for pattern in self.patterns if not 0 <= pattern.row < bars]
        if odd:
            raise DataError(f"pattern {odd[0].name} lies at row {odd[0].row} of {bars} bars; count from the report's")

    @property
    def recalled(self) -> int:
        """At how many bars anything was recalled."""
        return 0 if self.trust is None else int(np.count_nonzero(self.trust))
