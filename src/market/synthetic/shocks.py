"""Shocks to a generated market: jumps at the open, and crashes with a recovery."""

import numpy as np
from numpy.typing import NDArray

from src.config.stages.stress import CrashConfig, StressConfig
from src.market.bars import FloatArray


class Crashes:
    """Crashes of one path, bar by bar. One that begins during another replaces it; losses so far remain.

    Args:
        bars: of the path, T.
    """

    def __init__(self, config: CrashConfig, bars: int, rng: np.random.Generator) -> None:
        self.begins: NDArray[np.bool_] = rng.random(bars) < config.per_thousand_bars / 1000  # (T,)
        self._sizes = config.size_deviations * rng.uniform(0.5, 1.5, bars)
        self._bars, self._recovered = config.bars, config.recovered_frac
        self._regain = 1 - 0.5 ** (1 / config.recovery_bars)
        self._step, self._left, self._owed = 0.0, 0, 0.0

    def move(self, bar: int, deviation: float) -> float:
        """Return what is added to the log-return of a bar.

        Args:
            deviation: of a bar at the time; that at the first bar of a fall decides its size.
        """
        if self.begins[bar]:
            self._step, self._left = -self._sizes[bar] * deviation / self._bars, self._bars
        if self._left:
            self._left -= 1
            self._owed -= self._step * self._recovered
            return float(self._step)
        regained = self._owed * self._regain
        self._owed -= regained
        return float(regained)


def gaps(config: StressConfig, bars: int, rng: np.random.Generator) -> FloatArray:
    """Draw jumps at the open in deviations of a bar, (T,), mostly 0; their sizes are exponential, their signs even."""
    jumps = rng.random(bars) < config.gaps_per_thousand_bars / 1000
    return np.where(jumps, rng.laplace(0.0, config.gap_deviations, bars), 0.0)


def volatility_factors(config: StressConfig, bars: int, rng: np.random.Generator) -> FloatArray:
    """Draw what moves are multiplied by, (T,): a constant times the exponential of an AR(1) about 0."""
    memory = np.exp(-1 / config.volatility_bars)
    noise = (rng.standard_normal(bars) * np.sqrt(1 - memory**2)).tolist()
    state, path = float(rng.standard_normal()), []
    for shock in noise:
        path.append(state)
        state = memory * state + shock
    return config.volatility_factor * np.exp(config.volatility_spread * np.array(path))


def speeds(config: StressConfig, bars: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw how many bars each bar is made of, (T,): 2 in stretches that hold `merged_frac` of all, 1 outside them."""
    if config.merged_frac == 0:
        return np.ones(bars, dtype=np.int64)
    leave = 1 / config.merged_bars
    enter = min(1.0, leave * config.merged_frac / (1 - config.merged_frac))
    draws, found, merged = rng.random(bars).tolist(), [], bool(rng.random() < config.merged_frac)
    for draw in draws:
        found.append(2 if merged else 1)
        merged = (draw >= leave) if merged else (draw < enter)
    return np.array(found, dtype=np.int64)
