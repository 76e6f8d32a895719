"""Market D: episodes that differ in one hidden number, for agents that must find it out and then use it.

Within an episode returns are autoregressive of order one, r[t+1] = persistence * r[t] + volatility * e[t+1], with the
sign of the persistence drawn anew for each episode: trends and reversals are equally likely, so no fixed rule earns
anything. There is no fee. The best policy follows sign(E[persistence | returns so far] * r[t]), known from Bayes' rule.

Each episode is preceded by bars on which the price stands still, as many as the warm-up of features and the window
reach back: across the border an agent sees that nothing happened, never another episode. So episodes need no masks, and
are used like any series: each by itself, or one after the other in a long one, whose periods are tasks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.config.trading import CostsConfig
from src.errors import DataError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.known_markets import bars_of_log_prices

QUIET_BARS = 100  # before each episode of a long series
_TIMEFRAME = "1h"


class Episode(NamedTuple):
    """One episode.

    Attributes:
        bars: quiet bars, then the episode's.
        persistence: hidden; its sign is what an agent has to find out.
    """

    bars: BarSeries
    persistence: float


@dataclass(frozen=True)
class EpisodicMarket:
    """Parameters of the episodes.

    Attributes:
        strength: absolute value of the persistence.
        volatility: standard deviation of an innovation.
        length: bars of an episode.
    """

    strength: float
    volatility: float
    length: int

    def draw_returns(self, count: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Return log-returns (count, length) and the persistence of each episode (count,).

        The bar before an episode stood still, so its first return is an innovation alone.
        """
        persistence = self.strength * rng.choice([-1.0, 1.0], size=count)
        shocks = rng.normal(0.0, self.volatility, (count, self.length))
        returns = np.empty_like(shocks)
        last = np.zeros(count)
        for bar in range(self.length):
            last = returns[:, bar] = persistence * last + shocks[:, bar]
        return returns, persistence

    def bayes_targets(self, returns: FloatArray) -> FloatArray:
        """Return the best exposure (-1, 0 or 1) at the close of each bar, (..., length), knowing returns up to it.

        The log-odds of trend against reversal are 2 * strength / volatility² * sum of r[t] * r[t-1]; their sign is
        that of the posterior mean of the persistence. On the first bar nothing is known: 0.
        """
        products = np.zeros_like(returns)
        products[..., 1:] = returns[..., 1:] * returns[..., :-1]
        targets: FloatArray = np.sign(np.cumsum(products, axis=-1) * returns)
        return targets


EPISODIC_MARKET = EpisodicMarket(strength=0.25, volatility=0.01, length=200)

EPISODE_COSTS = CostsConfig(
    commission_bps=0.0, half_spread_bps=0.0, slippage_bps=0.0, borrow_bps_per_year=0.0, financing_bps_per_year=0.0
)


def generate_episodes(
    count: int, quiet_bars: int, rng: np.random.Generator, market: EpisodicMarket = EPISODIC_MARKET
) -> list[Episode]:
    """Draw episodes.

    Args:
        count: how many.
        quiet_bars: bars without movement before each; at least the warm-up of the features plus the bars of context of
            the model, and 1.

    Raises:
        DataError: no quiet bars.
    """
    if quiet_bars < 1:
        raise DataError(f"an episode needs at least 1 quiet bar before it, quiet_bars was {quiet_bars}")
    returns, persistence = market.draw_returns(count, rng)
    series = (_series(own) for own in _after_quiet(returns, quiet_bars))
    return [Episode(bars, float(rho)) for bars, rho in zip(series, persistence, strict=True)]


def episodes_in_a_row(bars: int, rng: np.random.Generator, timeframe: str = _TIMEFRAME) -> BarSeries:
    """Draw episodes of market D as one series: `QUIET_BARS` without movement, an episode, quiet bars, and so on.

    Args:
        bars: length of the series; the last episode may be cut short.
    """
    count = -(-bars // (QUIET_BARS + EPISODIC_MARKET.length))
    returns, _ = EPISODIC_MARKET.draw_returns(count, rng)
    return _series(_after_quiet(returns, QUIET_BARS).ravel()[:bars], timeframe)


def episode_rows(episode: BarSeries, length: int = EPISODIC_MARKET.length) -> range:
    """Return the rows of an episode in its series: those after the quiet bars."""
    return range(len(episode) - length, len(episode))


def _after_quiet(returns: FloatArray, quiet_bars: int) -> FloatArray:
    return np.pad(returns, ((0, 0), (quiet_bars, 0)))


def _series(returns: FloatArray, timeframe: str = _TIMEFRAME) -> BarSeries:
    return bars_of_log_prices("D", timeframe, np.cumsum(returns))
