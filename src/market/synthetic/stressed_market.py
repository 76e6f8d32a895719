"""`StressedMarket`: other series that a market could have produced, for agents to learn from.

Filtered historical simulation (Barone-Adesi, Giannopoulos and Vosper, "VaR without correlations", Journal of Futures
Markets 19 (1999)): candles are divided by the volatility that the bars before them predict, resampled, and multiplied
by the volatility that the *generated* moves predict, so the size of a block that is copied differs from the source.
Ours apart from the paper: whole candles rather than returns; stretches of random length (the stationary
bootstrap of Politis and Romano 1994) that follow one another within a class of volatility; and on top of it what
`StressConfig` asks for: slow changes of volatility, a tilt towards momentum or reversion, gaps, crashes with a recovery
(`shocks.py`), and stretches in which time runs at double speed.

A gap, a crash and a tilt move the close of their bar, and so the volatility expected after them; factors do not. What a
tilt has added decays with the average it is measured from. Otherwise it would add up without bound, and a reverting
market tilted towards momentum would wander instead of reverting more slowly.
The generated bars depend on the whole source: use them only where all of it may be seen.
"""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from src.config.stages.stress import StressConfig
from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.gjr_garch import GjrGarch, fit_gjr_garch
from src.market.synthetic.shocks import Crashes, gaps, speeds, volatility_factors

SHORTEST_SOURCE = 250  # bars, below which a law of volatility is a guess
_FITTED_BARS = 10_000  # the last so many bars fit the law; more would only take longer
_VOLUME_BARS = 250  # over which volume is compared with itself
_BEYOND = 2.0  # volatility never exceeds the largest of the source by more than this factor


class StressedMarket:
    """One source, measured once, from which any number of series can be drawn.

    Attributes:
        law: model of the volatility of its log-returns.
        deviations: (T,) that it predicts for each bar of the source.

    Raises:
        DataError: the source is too short, or its price stands still.
    """

    def __init__(self, source: BarSeries) -> None:
        if len(source) < SHORTEST_SOURCE:
            raise DataError(
                f"{source.symbol}: stress needs at least {SHORTEST_SOURCE} bars to learn from, had {len(source)}"
            )
        candles, self._mean = _log_candles(source), float(np.mean(source.log_returns[1:]))
        moves = candles[3] - self._mean
        if np.ptp(candles[3]) <= 1e-12:
            raise DataError(
                f"{source.symbol}: the price never moves, so there is nothing to resample; use another source"
            )
        self._source = source
        self.law: GjrGarch = fit_gjr_garch(moves[-_FITTED_BARS:])
        self.deviations = self.law.deviations(moves)
        self._candles = candles / self.deviations  # (4, T)
        self._volume = _level_volume(source.volume)

    def draw(self, config: StressConfig, rng: np.random.Generator, bars: int | None = None) -> BarSeries:
        """Draw a series from the source's first open on.

        Args:
            bars: length; that of the source unless given. Less if the order of the source is kept and it ends before.
        """
        counts = speeds(config, len(self._source) if bars is None else bars, rng)
        if config.block_bars is None:
            counts = counts[np.cumsum(counts) <= len(self._source)]
        rows, candles = self._path(config, int(counts.sum()), rng)
        volume = (self._source.volume if config.block_bars is None else self._volume)[rows]
        first = np.concatenate([[0], np.cumsum(counts)[:-1]])
        last = first + counts - 1
        opened, high, low, close = np.exp(candles)
        return BarSeries(
            self._source.symbol,
            self._source.timeframe,
            _times(self._source, len(counts)),
            opened[first],
            np.maximum.reduceat(high, first),
            np.minimum.reduceat(low, first),
            close[last],
            np.add.reduceat(volume, first),
        )

    def _path(self, config: StressConfig, bars: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], FloatArray]:
        # Rows of the source (T,) and log prices of candles (4, T), bar by bar.
        factors, jumps = volatility_factors(config, bars, rng), gaps(config, bars, rng)
        crashes, rows = Crashes(config.crash, bars, rng), _Rows(config, self.deviations, bars, rng)
        limit = (_BEYOND * float(self.deviations.max())) ** 2
        price = average = float(np.log(self._source.open[0]))
        variance, weight, tilted = self.law.mean, 2 / (config.tilt_bars + 1), 0.0
        chosen, path = np.empty(bars, dtype=np.int64), np.empty((4, bars))
        for bar in range(bars):
            deviation = variance**0.5
            row = rows.next(bar, deviation)
            jump = jumps[bar] * deviation
            lean = config.tilt * (price - average) - weight * tilted
            tilted += lean
            push = crashes.move(bar, deviation) + lean / factors[bar]
            candle = _moved(self._candles[:, row] * deviation, jump, push)
            chosen[bar], path[:, bar] = row, price + factors[bar] * candle
            variance = min(limit, self.law.after(variance, candle[3] - self._mean))
            price = float(path[3, bar])
            average += weight * (price - average)
        return chosen, path


class _Rows:
    """Which bar of the source comes next."""

    def __init__(self, config: StressConfig, deviations: FloatArray, bars: int, rng: np.random.Generator) -> None:
        self._edges = np.quantile(deviations, np.arange(1, config.regimes) / config.regimes).tolist()
        classes = np.searchsorted(self._edges, deviations, side="right")
        self._members = [np.flatnonzero(classes == one) for one in range(config.regimes)]
        self._row, self._end = -1, len(deviations)
        keeps_order = config.block_bars is None
        self._breaks = np.zeros(bars, dtype=bool) if keeps_order else rng.random(bars) < 1 / (config.block_bars or 1.0)
        self._breaks[:1] = not keeps_order
        self._places = rng.random(bars)

    def next(self, bar: int, deviation: float) -> int:
        self._row += 1
        if self._breaks[bar] or self._row == self._end:
            members = self._members[bisect_right(self._edges, deviation)]
            self._row = int(members[int(self._places[bar] * len(members))])
        return self._row


def _moved(candle: FloatArray, jump: float, push: float) -> FloatArray:
    # The whole candle by the jump, its close by the push besides; wicks keep their lengths.
    if jump == 0 and push == 0:
        return candle
    opened, high, low, close = candle
    moved = close + push
    over, under = high - max(opened, close), min(opened, close) - low
    return jump + np.array([opened, max(opened, moved) + over, min(opened, moved) - under, moved])


def _log_candles(source: BarSeries) -> FloatArray:
    # Log prices less that of the prior close, (4, T); the first bar's is its open.
    prior = np.concatenate([source.open[:1], source.close[:-1]])
    found: FloatArray = np.log(np.stack([source.open, source.high, source.low, source.close]) / prior)
    return found


def _level_volume(volume: FloatArray) -> FloatArray:
    # Volume as it would be at the same mean throughout, (T,), or stretches of different years would not fit together.
    total = np.concatenate([[0.0], np.cumsum(volume)])
    first = np.clip(np.arange(len(volume)) - _VOLUME_BARS // 2, 0, len(volume) - _VOLUME_BARS)
    local = (total[first + _VOLUME_BARS] - total[first]) / _VOLUME_BARS
    level: FloatArray = np.divide(volume * volume.mean(), local, out=np.zeros_like(volume), where=local > 0)
    return level


def _times(source: BarSeries, bars: int) -> NDArray[np.int64]:
    # Those of the source, again and again.
    times = source.open_time
    lap = times[-1] - times[0] + int(np.median(np.diff(times)))
    place = np.arange(bars)
    found: NDArray[np.int64] = times[place % len(times)] + lap * (place // len(times))
    return found
