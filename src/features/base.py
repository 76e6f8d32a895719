"""`Feature`: one named, causal computation on closed bars.

Not here: the formulas (`indicators.py`), scaling and selection (`pipeline.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from src.market.bars import BarSeries, FloatArray


@dataclass(frozen=True)
class Feature:
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

    name: str
    columns: tuple[str, ...]
    lookback_bars: int
    warmup_bars: int
    formula: Callable[[BarSeries], Sequence[FloatArray]]
    odd: tuple[str, ...] = ()
    last: Callable[[BarSeries], Sequence[float]] | None = None

    def compute(self, bars: BarSeries) -> FloatArray:
        """Return the columns, (T, k) float64, finite everywhere; warm-up rows hold 0."""
        values = np.column_stack(self.formula(bars)).astype(np.float64, copy=False)
        assert values.shape == (len(bars), len(self.columns)), f"feature '{self.name}' returned shape {values.shape}"
        values[: self.warmup_bars] = 0.0
        assert np.isfinite(values).all(), f"feature '{self.name}' returned a value that is not finite"
        return values

    def latest(self, bars: BarSeries) -> FloatArray:
        """Return the last row of `compute`, (k,), from the bars that decide it alone."""
        decisive = bars[max(0, len(bars) - max(self.lookback_bars, self.warmup_bars + 1)) :]
        if self.last is None or len(decisive) <= self.warmup_bars:
            row: FloatArray = self.compute(decisive)[-1]
            return row
        return np.array(self.last(decisive), dtype=np.float64)
