"""`KeyEncoder`: the fixed embedding under which events are remembered and looked up.

It is not trained: a key written under one policy must mean the same under the next, or every memory would be void after
each update. It knows no currency and no level of volatility, so a memory filled on one symbol or decade serves another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from src.config.agent.memory import KeyConfig
from src.errors import DataError
from src.features.indicators import exponential_average
from src.market.bars import BarSeries, FloatArray


def exponential_volatility(bars: BarSeries, span_bars: int) -> FloatArray:
    """Return the root of the exponential average of squared log-returns up to each bar, (T,); 0 where none moved."""
    return np.sqrt(exponential_average(bars.log_returns**2, span_bars))


@dataclass(frozen=True)
class KeyEncoder:
    """Key of bar t: its last `window_bars` log-returns, oldest first, over the trailing volatility at t, clipped.

    The Euclidean distance of two keys is then the difference of two paths in units of bar volatility. Volume takes no
    part. Nothing is projected: a random rotation would leave distances as they are, and fewer dimensions blur them.
    """

    config: KeyConfig

    @property
    def width(self) -> int:
        """Dimensions D of a key."""
        return self.config.window_bars

    @property
    def warmup_bars(self) -> int:
        """Rows at the start of a series that have no key."""
        return max(self.config.window_bars, self.config.volatility_span_bars)

    def encode(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return the key of each bar, (T, D); row t uses bars up to t only. Warm-up rows hold 0.

        Bars without movement have the key 0.

        Raises:
            DataError: the series does not outlast the warm-up.
        """
        if len(bars) <= self.warmup_bars:
            raise DataError(
                f"{bars.symbol}: memory keys need more than {self.warmup_bars} bars, got {len(bars)}; give a longer"
                " series or lower memory.key.volatility_span_bars"
            )
        volatility = exponential_volatility(bars, self.config.volatility_span_bars)
        keys = np.zeros((len(bars), self.width), dtype=np.float32)
        rows = np.flatnonzero(volatility > 0)
        rows = rows[rows >= self.warmup_bars]
        keys[rows] = self.keys(bars, volatility, rows)
        return keys

    def keys(self, bars: BarSeries, volatility: FloatArray, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the keys of some rows after the warm-up, (R, D), whose trailing volatility (T,) is positive."""
        windows = sliding_window_view(bars.log_returns, self.width)  # row i ends at bar i + width - 1
        scaled = windows[rows - self.width + 1] / volatility[rows, None]
        keys: NDArray[np.float32] = np.clip(scaled, -self.config.clip, self.config.clip).astype(np.float32)
        return keys
