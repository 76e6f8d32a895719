"""Regimes by rule: a moving-average crossover gives the direction, a breakout of candle sizes means volatile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from src.config.agent.reasoning import MovingAverageConfig
from src.config.plain import from_plain, to_plain
from src.features.indicators import CUTOFF_SPANS, exponential_average
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import REGIMES
from src.reasoning.candle_scale import TYPICAL_RANGE, CandleUnits, Samples, log_candles, true_range


@dataclass(frozen=True)
class MovingAverageClassifier:
    """The rule with soft edges. A breakout overrides the crossover.

        volatile           logistic(breakout_sharpness * log(mean candle / typical candle / breakout_ratio))
        up, down, ranging  what is left, by the softmax of
                           trend_sharpness * (±(fast - slow) / unit - trend_threshold) and 0

    Attributes:
        settings: spans, thresholds and sharpness.
        units: typical candle of the symbol.
    """

    settings: MovingAverageConfig
    units: CandleUnits

    name = "moving_average"
    columns = REGIMES

    @classmethod
    def fit(cls, settings: MovingAverageConfig, samples: Samples) -> "MovingAverageClassifier":
        """Measure the symbol's candles on training rows.

        Raises:
            DataError: rows outside their series, or prices that stand still.
        """
        return cls(settings, CandleUnits.fit(samples))

    @property
    def history_bars(self) -> int:
        """Trailing bars that decide a row."""
        return max(CUTOFF_SPANS * self.settings.slow_span, self.settings.volatility_bars + 1)

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the probability of each regime at each bar, (T, 4); uniform until the slow average is full."""
        settings, candles = self.settings, log_candles(bars)
        averages = (exponential_average(candles.close, span) for span in (settings.fast_span, settings.slow_span))
        gap = np.subtract(*averages) / self.units.move
        size = rolling_mean(true_range(candles), settings.volatility_bars) / (TYPICAL_RANGE * self.units.range)
        volatile = expit(settings.breakout_sharpness * np.log(np.maximum(size, 1e-6) / settings.breakout_ratio))
        trend = settings.trend_sharpness * (np.stack([gap, -gap]) - settings.trend_threshold)
        calm = softmax(np.column_stack([*trend, np.zeros(len(bars))]), axis=1)
        probabilities = np.column_stack([calm * (1 - volatile[:, None]), volatile])
        probabilities[: settings.slow_span] = 1 / len(REGIMES)
        return probabilities

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform`, (rows, 4)."""
        return self.transform(bars)[len(bars) - rows :]

    def to_plain(self) -> dict[str, Any]:
        """Return settings and units."""
        return {"name": self.name, "settings": to_plain(self.settings), "units": self.units.to_plain()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "MovingAverageClassifier":
        """Rebuild from `to_plain`."""
        return cls(from_plain(MovingAverageConfig, plain["settings"]), CandleUnits(*plain["units"]))


def rolling_mean(values: FloatArray, bars: int) -> FloatArray:
    """Return the mean of the last `bars` values, of those there are at the start, (T,)."""
    # Each window is summed by itself: running sums would carry the rounding residue of a storm into the quiet after it.
    padded = np.concatenate([np.zeros(bars - 1), values])
    totals = np.convolve(padded, np.ones(bars), mode="valid")
    return totals / np.minimum(np.arange(1, len(values) + 1), bars)
