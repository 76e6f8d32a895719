"""A generated market that trends up, trends down, ranges or storms, and candles that show what happened within a bar.

One of four regimes holds at a time. Its length is geometric; each of the other three is equally likely to follow. Each
bar is made of substeps of the log price x, so that high and low hold information beyond the close:

    trending up, down     x += ±drift / M + volatility * e / √M
    ranging               x -= pull / M * (x - anchor) - volatility * e / √M, the anchor is the price at entry
    volatile              x += storm * e / √M

The best that can be known of the regime is in `regime_posterior.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries, FloatArray, timeframe_ms
from src.market.synthetic.known_markets import FIRST_OPEN_MS, START_PRICE

REGIMES = ("up", "down", "ranging", "volatile")
UP, DOWN, RANGING, VOLATILE = range(4)


class RegimePaths(NamedTuple):
    """N paths of T bars of M substeps.

    Attributes:
        regime: (N, T) index into `REGIMES`; bar t was drawn under it.
        steps: (N, T, M) log price over `START_PRICE` after each substep; the last is the bar's close.
    """

    regime: NDArray[np.int64]
    steps: FloatArray


class LogCandles(NamedTuple):
    """Log prices of candles, each (N, T)."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


@dataclass(frozen=True)
class RegimeMarket:
    """Parameters of the market, per bar.

    Attributes:
        drift: mean log-return of a trend.
        volatility: standard deviation of a log-return in trends and ranges.
        pull: share of the distance to its anchor that a ranging price loses.
        storm: standard deviation in the volatile regime.
        mean_bars: mean length of a regime.
        substeps: M.
    """

    drift: float = 0.003
    volatility: float = 0.010
    pull: float = 0.15
    storm: float = 0.022
    mean_bars: float = 60.0
    substeps: int = 4

    def draw(self, paths: int, bars: int, rng: np.random.Generator) -> RegimePaths:
        """Draw independent paths. The first regime is uniform, and a range it begins with is anchored at the start."""
        regime = self._regimes(paths, bars, rng)
        enters = np.diff(regime, axis=1, prepend=-1) != 0
        sizes = np.array([self.volatility, self.volatility, self.volatility, self.storm])
        shocks = rng.standard_normal((bars, self.substeps, paths)) / np.sqrt(self.substeps) * sizes[regime.T][:, None]
        drifts = np.array([self.drift, -self.drift, 0.0, 0.0])[regime.T] / self.substeps
        pulls = np.where(regime.T == RANGING, self.pull / self.substeps, 0.0)
        price, anchor = np.zeros(paths), np.zeros(paths)
        steps = np.empty((bars, self.substeps, paths))
        for bar in range(bars):
            anchor = np.where(enters[:, bar], price, anchor)
            for substep in range(self.substeps):
                price = price + drifts[bar] - pulls[bar] * (price - anchor) + shocks[bar, substep]
                steps[bar, substep] = price
        return RegimePaths(regime, steps.transpose(2, 0, 1))

    def _regimes(self, paths: int, bars: int, rng: np.random.Generator) -> NDArray[np.int64]:
        moves = np.where(rng.random((paths, bars)) < 1 / self.mean_bars, rng.integers(1, 4, (paths, bars)), 0)
        moves[:, 0] = rng.integers(0, 4, paths)
        regimes: NDArray[np.int64] = np.cumsum(moves, axis=1) % 4
        return regimes


REGIME_MARKET = RegimeMarket()


def candles_of(steps: FloatArray) -> LogCandles:
    """Return the candles of some paths (N, T, M); each opens at the prior close."""
    close = steps[..., -1]
    opened = np.concatenate([np.zeros_like(close[:, :1]), close[:, :-1]], axis=1)
    return LogCandles(opened, np.maximum(opened, steps.max(axis=-1)), np.minimum(opened, steps.min(axis=-1)), close)


def regime_bars(steps: FloatArray, timeframe: str = "1d") -> list[BarSeries]:
    """Return each path (N, T, M) as a series; volume is 1 throughout and tells nothing."""
    prices = START_PRICE * np.exp(np.stack(candles_of(steps)))  # (4, N, T)
    times = FIRST_OPEN_MS + timeframe_ms(timeframe) * np.arange(steps.shape[1])
    volume = np.ones_like(prices[:1])
    paths = np.concatenate([prices, volume]).transpose(1, 0, 2)  # (N, 5, T)
    return [BarSeries("REGIMES", timeframe, times, *columns) for columns in paths]
