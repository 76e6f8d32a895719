"""`Feature`: one named, causal computation on closed bars.

Not here: the formulas (`indicators.py`), scaling and selection (`pipeline.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.market.lookahead import require_causal, require_finite, require_own_history
from src.plugins import Pluggable


@dataclass(frozen=True)
class Feature(Pluggable):
    """One or more columns computed from the bars alone; row t uses rows <= t only.

    Attributes:
        name: what the user writes in `features.names`.
        columns: names of the k columns.
        lookback_bars: trailing bars, the current one included, that decide a value: the same value comes out whatever
            happened before them. Exact for windows and cut-off averages; for recursive averages the weight of
            everything older is at most 1e-15.
        warmup_bars: rows at the start of a series that must not be used: the window is not full, or an average rests
            on less than about one span. Never more than `lookback_bars`.
        formula: the k columns, each (T,) float64; finite from row `warmup_bars` on.
        odd: the columns that change sign in a mirrored market (`BarSeries.mirrored`); the others stay as they are.
        last: the last values of the formula alone, where they are much cheaper than all; within 1e-9 of them.
    """

    kind: ClassVar[str] = "feature"

    columns: tuple[str, ...]
    lookback_bars: int
    warmup_bars: int
    formula: Callable[[BarSeries], Sequence[FloatArray]]
    odd: tuple[str, ...] = ()
    last: Callable[[BarSeries], Sequence[float]] | None = None

    def compute(self, bars: BarSeries) -> FloatArray:
        """Return the columns, (T, k) float64, finite everywhere; warm-up rows hold 0.

        Raises:
            DataError: the formula gave another number of rows or columns, or what is not finite.
        """
        values = np.column_stack(self.formula(bars)).astype(np.float64, copy=False)
        if values.shape != (len(bars), len(self.columns)):
            raise DataError(
                f"{self} returned {values.shape} rows and columns for {len(bars)} bars; its columns are {self.columns}"
            )
        values[: self.warmup_bars] = 0.0
        require_finite(str(self), values, bars)
        return values

    def check(self, bars: BarSeries) -> None:
        """Refuse a formula that looks ahead, or that needs more bars than it declares, on these bars.

        Raises:
            LookaheadError: a row changes with bars after it.
            DataError: a value is not finite, or the trailing `lookback_bars` do not decide a row.
        """
        self.check_causal(bars)
        claim = f"lookback_bars={self.lookback_bars}"
        require_own_history(str(self), self.compute, self.latest, bars, self.warmup_bars, claim)

    def check_causal(self, bars: BarSeries) -> None:
        """Refuse a formula that looks ahead on these bars.

        Raises:
            LookaheadError: a row changes with bars after it.
        """
        require_causal(str(self), self.compute, bars, self.warmup_bars)

    def __str__(self) -> str:
        return f"feature '{self.name}'"

    def latest(self, bars: BarSeries) -> FloatArray:
        """Return the last row of `compute`, (k,), from the bars that decide it alone."""
        decisive = bars[max(0, len(bars) - max(self.lookback_bars, self.warmup_bars + 1)) :]
        if self.last is None or len(decisive) <= self.warmup_bars:
            row: FloatArray = self.compute(decisive)[-1]
            return row
        return np.array(self.last(decisive), dtype=np.float64)
