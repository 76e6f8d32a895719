"""Generated markets whose optimal policy is known, and the score they are compared by.

Each bar opens at the prior close and its high and low are the larger and smaller of open and close, so the path of
closes is the whole market. Returns are log-returns; costs are fractions of traded notional; figures are per bar.
The optimal policies live in `optimal_policy.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.config.base import require_known
from src.config.trading import CostsConfig
from src.errors import ConfigError, DataError
from src.market.bars import BarSeries, FloatArray, timeframe_ms

START_PRICE = 100.0
FIRST_OPEN_MS = 946_684_800_000  # 2000-01-01 UTC


@dataclass(frozen=True)
class RevertingMarket:
    """Ornstein-Uhlenbeck log price: x[t+1] = persistence * x[t] + volatility * e[t+1], e standard normal.

    x is the log of close over `START_PRICE` and starts at its mean 0, so the series mirrored around its first open has
    the same distribution.
    """

    persistence: float
    volatility: float
    cost_frac: float

    def log_prices(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw x at the close of each bar, (T,)."""
        return _recursion(self.persistence, rng.normal(0.0, self.volatility, bars))


@dataclass(frozen=True)
class RunawayMarket:
    """A log price that moves away from its average as strongly as that of `RevertingMarket` moves back.

        return[t+1] = (1 - persistence) * u[t] + volatility * e[t+1]
        u[t+1]      = persistence * u[t] + volatility * e[t+1]  =  (2 * persistence - 1) * u[t] + return[t+1]

    u is known from the past: the price less its exponential average of weight 2 * (1 - persistence), over one less that
    weight; it starts at 0. It is distributed as the reverting price with the same numbers, and the expected return of
    the next bar is the opposite, so the best policy is the opposite and earns the same.
    """

    persistence: float
    volatility: float
    cost_frac: float

    def log_prices(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw the log of close over `START_PRICE` at the close of each bar, (T,)."""
        shocks = rng.normal(0.0, self.volatility, bars)
        stretch = _recursion(self.persistence, shocks)
        expected = (1 - self.persistence) * np.concatenate([[0.0], stretch[:-1]])
        return np.cumsum(expected + shocks)

    def distance(self, log_returns: FloatArray) -> FloatArray:
        """Return u at the close of each bar, (T,), for a path whose first return is `log_returns[0]`."""
        return _recursion(2 * self.persistence - 1, log_returns)


@dataclass(frozen=True)
class SwitchingMarket:
    """Two-state hidden Markov drift (Hamilton 1989): return = ±drift + volatility * e, the state stays with `stay`."""

    drift: float
    stay: float
    volatility: float
    cost_frac: float

    def log_prices(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw x at the close of each bar, (T,)."""
        direction = self.regimes(bars, rng)
        path: FloatArray = np.cumsum(direction * self.drift + rng.normal(0.0, self.volatility, bars))
        return path

    def regimes(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw the hidden state of each bar, 1 up and -1 down, (T,); what a path draws first."""
        return _two_states(bars, self.stay, rng)


@dataclass(frozen=True)
class AutocorrelatedMarket:
    """Returns that follow one another or turn back (Hamilton 1989): r[t] = ±correlation * r[t-1] + volatility * e[t].

    The sign is a hidden state that stays with `stay`; the return before the first bar is 0.
    """

    correlation: float
    stay: float
    volatility: float
    cost_frac: float

    def log_prices(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw x at the close of each bar, (T,)."""
        slopes = self.correlation * self.regimes(bars, rng)
        shocks = rng.normal(0.0, self.volatility, bars)
        last, returns = 0.0, []
        for slope, shock in zip(slopes.tolist(), shocks.tolist(), strict=True):
            last = slope * last + shock
            returns.append(last)
        return np.cumsum(returns)

    def regimes(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw the hidden state under which each bar is drawn, 1 momentum and -1 reversal, (T,)."""
        return _two_states(bars, self.stay, rng)


def _recursion(kept: float, shocks: FloatArray) -> FloatArray:
    # x[t] = kept * x[t - 1] + shocks[t], from 0.
    from scipy.signal import lfilter  # slow to load, and not needed to know the names of markets

    path: FloatArray = lfilter([1.0], [1.0, -kept], shocks)
    return path


def _two_states(bars: int, stay: float, rng: np.random.Generator) -> FloatArray:
    # A symmetric Markov chain on 1 and -1 from an even start, (T,).
    starts_positive = rng.random() < 0.5
    switches = np.cumsum(rng.random(bars) > stay)
    return np.where((switches % 2 == 0) == starts_positive, 1.0, -1.0)


@dataclass(frozen=True)
class MartingaleMarket:
    """Driftless GARCH(1,1) (Bollerslev 1986) with unit-variance Student-t innovations: nothing to earn.

    variance[t+1] = w + reaction * return[t]² + decay * variance[t], w such that the mean variance is volatility².
    """

    reaction: float
    decay: float
    degrees: float
    volatility: float
    cost_frac: float

    def log_prices(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw x at the close of each bar, (T,)."""
        shocks = rng.standard_t(self.degrees, bars) * np.sqrt((self.degrees - 2) / self.degrees)
        floor = self.volatility**2 * (1 - self.reaction - self.decay)
        variance, variances = self.volatility**2, []
        for growth in (self.reaction * shocks**2 + self.decay).tolist():
            variances.append(variance)
            variance = floor + growth * variance
        path: FloatArray = np.cumsum(np.sqrt(variances) * shocks)
        return path


SyntheticMarket = RevertingMarket | RunawayMarket | SwitchingMarket | AutocorrelatedMarket | MartingaleMarket

SYNTHETIC_MARKETS: dict[str, SyntheticMarket] = {
    "A": RevertingMarket(persistence=0.90, volatility=0.01, cost_frac=0.0010),
    "A4": RevertingMarket(persistence=0.90, volatility=0.01, cost_frac=0.0100),
    "B": SwitchingMarket(drift=0.0015, stay=0.98, volatility=0.01, cost_frac=0.0005),
    "B2": SwitchingMarket(drift=0.0015, stay=0.98, volatility=0.01, cost_frac=0.0020),
    "C": MartingaleMarket(reaction=0.08, decay=0.90, degrees=5.0, volatility=0.01, cost_frac=0.0010),
    "F": AutocorrelatedMarket(correlation=0.35, stay=1 - 1 / 150, volatility=0.01, cost_frac=0.0),
}


def synthetic_market(name: str) -> SyntheticMarket:
    """Return the definition of a market.

    Raises:
        ConfigError: no market has this name.
    """
    require_known("synthetic market", [name], SYNTHETIC_MARKETS)
    return SYNTHETIC_MARKETS[name]


def market_costs(name: str) -> CostsConfig:
    """Return the costs under which the market's optimum is stated: all of them as commission, none for holding."""
    return CostsConfig(
        commission_bps=synthetic_market(name).cost_frac * 1e4,
        half_spread_bps=0.0,
        slippage_bps=0.0,
        borrow_bps_per_year=0.0,
        financing_bps_per_year=0.0,
    )


def generate(name: str, bars: int, rng: np.random.Generator, timeframe: str = "1h") -> BarSeries:
    """Draw a path of a market; volume is 1 throughout and tells nothing.

    Raises:
        ConfigError: no market has this name.
    """
    return bars_of_log_prices(name, timeframe, synthetic_market(name).log_prices(bars, rng))


def generated_market(bars: BarSeries) -> str | None:
    """Return the name of the market that `generate` drew bars from; None for all others."""
    is_path = bars.symbol in SYNTHETIC_MARKETS and bars.open[0] == START_PRICE and bars.open_time[0] == FIRST_OPEN_MS
    return bars.symbol if is_path and bool((bars.volume == 1.0).all()) else None


def bars_of_log_prices(symbol: str, timeframe: str, log_prices: FloatArray) -> BarSeries:
    """Return the bars of a path of log closes over `START_PRICE`, (T,)."""
    close = START_PRICE * np.exp(log_prices)
    opened = np.concatenate([[START_PRICE], close[:-1]])
    times = FIRST_OPEN_MS + timeframe_ms(timeframe) * np.arange(len(close))
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    return BarSeries(symbol, timeframe, times, opened, high, low, close, np.ones(len(close)))


def hidden_regimes(name: str, bars: int, rng: np.random.Generator) -> FloatArray:
    """Return the hidden state, 1 or -1, of each bar of the path that `generate` draws from an equal generator, (T,).

    For scoring only. Bar t was drawn under state t.

    Raises:
        ConfigError: no market has this name, or it has no hidden state.
    """
    market = synthetic_market(name)
    if not isinstance(market, SwitchingMarket | AutocorrelatedMarket):
        raise ConfigError(f"synthetic market '{name}' has no hidden regimes; those of B, B2 and F can be had")
    return market.regimes(bars, rng)


def score(targets: NDArray[np.floating], closes: FloatArray, cost_frac: float, warmup: int = 0) -> float:
    """Return the mean per bar of target[t] * r[t+1] - cost_frac * |target[t] - target[t-1]|, in log-return.

    r is the close-to-close log-return. The position before the first bar is flat; the last target earns nothing and
    is left out, as are the first `warmup` bars.

    Args:
        targets: (T,) exposure decided at each close.
        closes: (T,) prices.

    Raises:
        DataError: the two differ in length, or no bar is left to score.
    """
    if targets.shape != closes.shape or closes.ndim != 1:
        raise DataError(f"score needs as many targets as closes, got shapes {targets.shape} and {closes.shape}")
    if len(closes) - 1 <= warmup:
        raise DataError(f"score needs more than warmup + 1 = {warmup + 1} bars, got {len(closes)}")
    turnover = np.abs(np.diff(targets, prepend=0.0))[:-1]
    return float((targets[:-1] * np.diff(np.log(closes)) - cost_frac * turnover)[warmup:].mean())


def _autoregression(shocks: FloatArray, persistence: float) -> FloatArray:
    # x of each bar, (T,): `persistence` times that of the bar before, from 0, and a shock.
    from scipy.signal import lfilter  # takes a second to load, which only generated markets are to wait for

    path: FloatArray = lfilter([1.0], [1.0, -persistence], shocks)
    return path
