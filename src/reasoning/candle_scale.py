"""How large a typical candle of a symbol is: the unit in which one classifier fits every market and timeframe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.regime_market import LogCandles

Samples = Sequence[tuple[BarSeries, range]]

# Medians of |log-return| and of log true range in `RegimeMarket`, over its volatility: a market of that law has units
# equal to its volatility.
TYPICAL_MOVE, TYPICAL_RANGE = 0.808, 1.212
_MIN_BARS = 100


@dataclass(frozen=True)
class CandleUnits:
    """Sizes that count as 1, in log price.

    Returns and ranges have a unit each, because the ratio of a bar's range to its return differs between a traded
    market and a generated one of a few steps a bar.
    """

    move: float
    range: float

    @classmethod
    def fit(cls, samples: Samples) -> "CandleUnits":
        """Measure on the given rows of all samples, pooled; pass training rows only.

        Raises:
            DataError: rows outside their series, fewer than 100, or prices that stand still in half of them.
        """
        for bars, rows in samples:
            if rows.step != 1 or not 0 <= rows.start < rows.stop <= len(bars):
                raise DataError(f"{bars.symbol}: {rows} is not a stretch of rows of its {len(bars)} bars")
        count = sum(len(rows) for _, rows in samples)
        if count < _MIN_BARS:
            raise DataError(
                f"a regime classifier needs at least {_MIN_BARS} training bars to learn what is usual, got {count}"
            )
        scaled = [(log_candles(bars), rows) for bars, rows in samples]
        moves = np.concatenate([_moves(candles)[rows.start : rows.stop] for candles, rows in scaled])
        ranges = np.concatenate([true_range(candles)[rows.start : rows.stop] for candles, rows in scaled])
        units = cls(float(np.median(np.abs(moves))) / TYPICAL_MOVE, float(np.median(ranges)) / TYPICAL_RANGE)
        if min(units.move, units.range) < np.finfo(np.float32).tiny:
            raise DataError(
                f"{samples[0][0].symbol}: the price stands still in most of its {count} training bars, so no"
                " regime can be told; give bars of a market that trades"
            )
        return units

    def to_plain(self) -> list[float]:
        """Return the numbers `CandleUnits` is built from, in order."""
        return [self.move, self.range]


def log_candles(bars: BarSeries) -> LogCandles:
    """Return log prices relative to the first open, each (T,): a constant factor on prices drops out."""
    return LogCandles(*(np.log(prices / bars.open[0]) for prices in (bars.open, bars.high, bars.low, bars.close)))


def prior_close(candles: LogCandles) -> FloatArray:
    """Return the close before each bar, (..., T); before the first bar, its open."""
    return np.concatenate([candles.open[..., :1], candles.close[..., :-1]], axis=-1)


def true_range(candles: LogCandles) -> FloatArray:
    """Return each bar's range with the gap from the prior close (Wilder, 1978), (..., T)."""
    prior = prior_close(candles)
    extent: FloatArray = np.maximum(candles.high, prior) - np.minimum(candles.low, prior)
    return extent


def _moves(candles: LogCandles) -> FloatArray:
    return candles.close - prior_close(candles)
