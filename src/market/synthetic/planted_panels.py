"""Generated panels with a known edge among noise. What the best policy earns on them: `optimal_portfolios.py`.

Each bar opens at the prior close, its high and low are the larger and smaller of the two, and volume is 1 throughout.
Returns are log-returns, figures are per bar.
"""

from dataclasses import dataclass

import numpy as np

from src.config.base import require_known
from src.market.bars import BarSeries, FloatArray
from src.market.panel import DELISTED_AFTER_BARS, Panel
from src.market.synthetic.known_markets import (
    FIRST_OPEN_MS,
    START_PRICE,
    RevertingMarket,
    bars_of_log_prices,
    generate,
    synthetic_market,
)


@dataclass(frozen=True)
class IndependentPanel:
    """Copies of a known market of one symbol, each with a path of its own."""

    market: str
    assets: int

    @property
    def cost_frac(self) -> float:
        """That of the market."""
        return synthetic_market(self.market).cost_frac

    def series(self, bars: int, rng: np.random.Generator, timeframe: str) -> list[BarSeries]:
        """Draw the bars of each asset."""
        each = rng.spawn(self.assets)
        paths = [generate(self.market, bars, one, timeframe) for one in each]
        return [_renamed(path, f"{self.market}-{number}") for number, path in enumerate(paths, start=1)]


@dataclass(frozen=True)
class MomentumPanel:
    """What has done better than the others goes on doing so (momentum across assets, Jegadeesh and Titman 1993).

        drift[i, t+1]  = persistence * drift[i, t] + sqrt(1 - persistence²) * drift_volatility * n[i, t+1]
        return[i, t+1] = market[t+1] + drift[i, t] + volatility * e[i, t+1],   market[t+1] ~ N(0, market_volatility²)

    The market's part is the same for all and cannot be foretold. It hides an asset's drift from whoever looks at that
    asset alone; the average over all assets shows it.
    """

    assets: int
    persistence: float
    drift_volatility: float
    market_volatility: float
    volatility: float

    def returns(self, bars: int, rng: np.random.Generator) -> FloatArray:
        """Draw the log-return of each bar and asset, (T, S)."""
        drift = rng.normal(0.0, self.drift_volatility, self.assets)
        renewal = np.sqrt(1 - self.persistence**2) * self.drift_volatility
        returns = np.empty((bars, self.assets))
        for row in range(bars):
            returns[row] = drift + rng.normal(0.0, self.volatility, self.assets)
            drift = self.persistence * drift + rng.normal(0.0, renewal, self.assets)
        return returns + rng.normal(0.0, self.market_volatility, bars)[:, None]

    def series(self, bars: int, rng: np.random.Generator, timeframe: str) -> list[BarSeries]:
        """Draw the bars of each asset."""
        return _of_log_prices("M", timeframe, np.cumsum(self.returns(bars, rng), axis=0))


@dataclass(frozen=True)
class PairPanel:
    """Two log prices that wander together and whose difference reverts (cointegration, Engle and Granger 1987).

        log price 1 = common + spread / 2,   log price 2 = common - spread / 2

    The common part is a random walk; the spread is that of `RevertingMarket`.
    """

    spread: RevertingMarket
    common_volatility: float

    @property
    def cost_frac(self) -> float:
        """That of the spread's market."""
        return self.spread.cost_frac

    def series(self, bars: int, rng: np.random.Generator, timeframe: str) -> list[BarSeries]:
        """Draw the bars of both."""
        half = self.spread.log_prices(bars, rng)[:, None] / 2
        common = np.cumsum(rng.normal(0.0, self.common_volatility, bars))[:, None]
        return _of_log_prices("P", timeframe, np.hstack([common + half, common - half]))


@dataclass(frozen=True)
class DelistingPanel:
    """Assets that rise on average, until some fall far enough to be delisted.

    While a price is below `distress_frac` of its start, its asset is delisted at each bar with probability `hazard`,
    and what is held of it is closed at its last close less a haircut. The first asset cannot be delisted, so that the
    axis reaches the end.
    """

    assets: int
    drift: float
    volatility: float
    distress_frac: float
    hazard: float
    cost_frac: float = 0.0

    def series(self, bars: int, rng: np.random.Generator, timeframe: str) -> list[BarSeries]:
        """Draw the bars of each asset, as far as it was listed; one delisted at the very end counts as listed."""
        returns = rng.normal(self.drift, self.volatility, (bars, self.assets))
        prices = np.cumsum(returns, axis=0)
        strikes = (prices < np.log(self.distress_frac)) & (rng.random((bars, self.assets)) < self.hazard)
        strikes[:, 0], strikes[0] = False, False
        last = np.where(strikes.any(axis=0), strikes.argmax(axis=0), bars - 1)
        last = np.where(last + DELISTED_AFTER_BARS < bars - 1, last, bars - 1)
        whole = _of_log_prices("D", timeframe, prices)
        return [path[: end + 1] for path, end in zip(whole, last.tolist(), strict=True)]


PlantedPanel = IndependentPanel | MomentumPanel | PairPanel | DelistingPanel

PLANTED_PANELS: dict[str, PlantedPanel] = {
    "A4x8": IndependentPanel("A4", 8),
    "M30": MomentumPanel(30, persistence=0.98, drift_volatility=0.002, market_volatility=0.02, volatility=0.01),
    "P2": PairPanel(RevertingMarket(persistence=0.95, volatility=0.01, cost_frac=0.001), common_volatility=0.01),
    "D20": DelistingPanel(20, drift=0.0005, volatility=0.02, distress_frac=0.7, hazard=0.01),
}


def planted_panel(name: str) -> PlantedPanel:
    """Return the definition of a panel.

    Raises:
        ConfigError: no panel has this name.
    """
    require_known("synthetic panel", [name], PLANTED_PANELS)
    return PLANTED_PANELS[name]


def generate_panel(name: str, bars: int, rng: np.random.Generator, timeframe: str = "1h") -> Panel:
    """Draw a panel.

    Raises:
        ConfigError: no panel has this name.
    """
    return Panel.of(name, planted_panel(name).series(bars, rng, timeframe))


def generated_panel(panel: Panel) -> PlantedPanel | None:
    """Return what `generate_panel` drew a panel from; None for all others."""
    planted = PLANTED_PANELS.get(panel.name)
    is_drawn = bool((panel.open[0] == START_PRICE).all()) and panel.open_time[0] == FIRST_OPEN_MS
    return planted if is_drawn and len(panel.symbols) == getattr(planted, "assets", 2) else None


def _of_log_prices(prefix: str, timeframe: str, log_prices: FloatArray) -> list[BarSeries]:
    # (T, S) over the starting price.
    columns = enumerate(log_prices.T, start=1)
    return [bars_of_log_prices(f"{prefix}-{number}", timeframe, column) for number, column in columns]


def _renamed(bars: BarSeries, symbol: str) -> BarSeries:
    return BarSeries(symbol, bars.timeframe, bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
