"""Made-up candles for tests: an ordinary random walk, and markets that break careless arithmetic."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries

HOUR_MS = 3_600_000


def bars_from_steps(steps: NDArray[np.float64], volume: NDArray[np.float64], first_price: float = 100.0) -> BarSeries:
    """Return hourly candles whose log price moves by each of a bar's k steps in turn; `steps` is (T, k)."""
    path = steps.cumsum().reshape(steps.shape)
    opened = np.concatenate([[0.0], path[:-1, -1]])
    prices = first_price * np.exp(np.column_stack([opened, path]))  # (T, k + 1)
    return BarSeries(
        symbol="TEST",
        timeframe="1h",
        open_time=np.arange(len(steps)) * HOUR_MS,
        open=prices[:, 0],
        high=prices.max(axis=1),
        low=prices.min(axis=1),
        close=prices[:, -1],
        volume=volume,
    )


def random_bars(count: int, seed: int = 0, sigma: float = 0.01, first_price: float = 100.0) -> BarSeries:
    """Return a driftless walk with standard deviation `sigma` a bar and log-normal volume."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, sigma / 2.0, (count, 4))
    return bars_from_steps(steps, rng.lognormal(3.0, 1.0, count), first_price)


def concatenate(parts: Sequence[BarSeries]) -> BarSeries:
    """Join consecutive stretches of one symbol and timeframe."""
    first, names = parts[0], ("open_time", "open", "high", "low", "close", "volume")
    return BarSeries(first.symbol, first.timeframe, *(np.concatenate([getattr(p, n) for p in parts]) for n in names))


def _constant(count: int) -> BarSeries:
    return bars_from_steps(np.zeros((count, 4)), np.full(count, 7.0))


def _no_volume(count: int) -> BarSeries:
    bars = random_bars(count, seed=1)
    return bars_from_steps(np.log(bars.close / bars.open)[:, None], np.zeros(count))


def _jump(count: int) -> BarSeries:
    # A thousandfold price and a millionfold volume within one bar, back again later.
    rng = np.random.default_rng(2)
    steps = rng.normal(0.0, 0.005, (count, 4))
    steps[count // 3, 2], steps[count // 2, 1] = np.log(1000.0), -np.log(1000.0)
    volume = rng.lognormal(0.0, 1.0, count)
    volume[count // 3] *= 1e6
    return bars_from_steps(steps, volume)


def _standstill(count: int) -> BarSeries:
    # Ordinary trading, then most of the series without a single trade, then trading again.
    rng = np.random.default_rng(3)
    steps, volume = rng.normal(0.0, 0.005, (count, 4)), rng.lognormal(0.0, 1.0, count)
    still = slice(count // 8, count - count // 4)
    steps[still], volume[still] = 0.0, 0.0
    return bars_from_steps(steps, volume)


def _rare_ticks(count: int) -> BarSeries:
    # One tick of a thousandth per cent about every tenth bar, at a price of one hundred-millionth.
    rng = np.random.default_rng(4)
    ticks = rng.choice([-1e-5, 0.0, 1e-5], size=(count, 1), p=[0.05, 0.9, 0.05])
    return bars_from_steps(ticks, (ticks[:, 0] != 0) * 1e-8, first_price=1e-8)


def _quiet_after_storm(count: int) -> BarSeries:
    # Two per cent a bar, then a ten-thousandth of that: sums kept up by adding and subtracting lose their digits.
    sigma = np.where(np.arange(count) < count // 4, 0.02, 2e-6)
    rng = np.random.default_rng(6)
    return bars_from_steps(rng.normal(0.0, sigma / 2.0, (4, count)).T.copy(), rng.lognormal(0.0, 1.0, count))


def _gaps(count: int) -> BarSeries:
    bars = random_bars(count, seed=5)
    missing = np.cumsum(np.random.default_rng(5).integers(0, 30, count)) * HOUR_MS
    return BarSeries("TEST", "1h", bars.open_time + missing, bars.open, bars.high, bars.low, bars.close, bars.volume)


NASTY_MARKETS: dict[str, Callable[[int], BarSeries]] = {
    "constant": _constant,
    "no volume": _no_volume,
    "jump": _jump,
    "standstill": _standstill,
    "rare ticks": _rare_ticks,
    "quiet after storm": _quiet_after_storm,
    "gaps": _gaps,
}
