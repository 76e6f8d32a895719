"""Long series gathered into buckets of equally many bars, each with its first, last, lowest and highest value.

No extreme is lost. Method: M4 of Jugel, Jerzak, Hackenbroich and Markl (2014), "M4: a visualization-oriented time
series data aggregation".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray


@dataclass(frozen=True)
class Buckets:
    """T bars as R buckets in order of time, all of `size` bars but the last, which may hold fewer."""

    bars: int
    size: int

    @classmethod
    def at_most(cls, bars: int, most: int) -> "Buckets":
        """Return the smallest buckets of which no more than `most` hold the bars."""
        return cls(bars, -(-bars // most))

    @property
    def starts(self) -> NDArray[np.int64]:
        """First row of each, (R,)."""
        return np.arange(0, self.bars, self.size, dtype=np.int64)

    @property
    def ends(self) -> NDArray[np.int64]:
        """Last row of each, (R,)."""
        return np.append(self.starts[1:], self.bars) - 1

    def lowest(self, values: FloatArray) -> FloatArray:
        """Return the lowest of values (T,) in each, (R,)."""
        return np.minimum.reduceat(values, self.starts)

    def highest(self, values: FloatArray) -> FloatArray:
        """Return the highest of values (T,) in each, (R,)."""
        return np.maximum.reduceat(values, self.starts)

    def total(self, values: FloatArray) -> FloatArray:
        """Return the sum of values (T,) in each, (R,)."""
        return np.add.reduceat(values, self.starts)
