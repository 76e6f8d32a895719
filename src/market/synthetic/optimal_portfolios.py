"""Best known policies of the planted panels, each deciding row by row from what has closed by then.

| panel | policy | figure |
| --- | --- | --- |
| independent copies | that of each market, with an equal share | mean gain of the markets, exact |
| momentum | mean-variance weights on a Kalman filter that knows the parameters | Sharpe ratio a bar, exact |
| pair | that of the reverting spread, half of the equity on each side | gain, exact among such positions |
| delistings | equal shares of what is not in distress, if distress does not pay | its score on the panel |

Not known: how much more a policy earns that is free in the size of its positions.
"""

import math
from functools import singledispatch

import numpy as np

from src.errors import DataError
from src.market.bars import FloatArray
from src.market.panel import Panel
from src.market.synthetic.known_markets import RevertingMarket, bars_of_log_prices
from src.market.synthetic.optimal_policy import optimal_gain, optimal_targets
from src.market.synthetic.planted_panels import (
    DelistingPanel,
    IndependentPanel,
    MomentumPanel,
    PairPanel,
    PlantedPanel,
)


@singledispatch
def best_targets(planted: PlantedPanel, panel: Panel) -> FloatArray:
    """Return the exposures of the policy at each close, (T, S); row t rests on rows up to t only.

    Args:
        planted: what drew the panel.
        panel: of at least one row.
    """
    raise NotImplementedError(type(planted).__name__)


@best_targets.register
def _(planted: IndependentPanel, panel: Panel) -> FloatArray:
    each = [optimal_targets(planted.market, panel.series(symbol)) for symbol in panel.symbols]
    targets: FloatArray = np.stack(each, axis=1) / planted.assets
    return targets


@best_targets.register
def _(planted: MomentumPanel, panel: Panel) -> FloatArray:
    returns = panel_returns(panel)
    apart = returns - returns.mean(axis=1, keepdims=True)
    expected = _filtered_drift(planted, apart, planted.volatility**2)
    targets: FloatArray = expected / (_doubt(planted, planted.volatility**2) + planted.volatility**2)
    return targets


@best_targets.register
def _(planted: PairPanel, panel: Panel) -> FloatArray:
    half_spread = (np.log(panel.close[:, 0]) - np.log(panel.close[:, 1])) / 2
    bars = bars_of_log_prices("spread", panel.timeframe, half_spread)
    side = optimal_targets(half_of(planted.spread), bars)
    return np.stack([side / 2, side / -2], axis=1)


@best_targets.register
def _(planted: DelistingPanel, panel: Panel) -> FloatArray:
    is_healthy = panel.last_close >= planted.distress_frac * panel.open[0]
    targets: FloatArray = (is_healthy & panel.listed) / planted.assets
    return targets


def lone_targets(planted: MomentumPanel, panel: Panel) -> FloatArray:
    """Return what a filter decides that sees each asset alone, its share of the market's return included, (T, S)."""
    noise = planted.volatility**2 + planted.market_volatility**2
    targets: FloatArray = _filtered_drift(planted, panel_returns(panel), noise) / (_doubt(planted, noise) + noise)
    return targets


def half_of(spread: RevertingMarket) -> RevertingMarket:
    """Return the market that a pair with half of the equity on each side is: half the moves, the whole cost."""
    return RevertingMarket(spread.persistence, spread.volatility / 2, spread.cost_frac)


def best_gain(planted: IndependentPanel | PairPanel) -> float:
    """Return the long-run mean log-return a bar of the policy, after costs."""
    return optimal_gain(planted.market if isinstance(planted, IndependentPanel) else half_of(planted.spread))


def best_sharpe_ratio(planted: MomentumPanel) -> float:
    """Return the Sharpe ratio a bar of the policy.

    What the market's return leaves are S - 1 independent directions. In each, the filter's forecast is normal with
    variance V around drifts that it leaves uncertain by P, so returns are, given a forecast f, normal with mean f and
    variance s = P + volatility². Weights f / s earn (S - 1) V / s on average, with a variance of
    (S - 1) (V / s + 2 V² / s²).
    """
    noise = planted.volatility**2
    doubt = _doubt(planted, noise)
    told = (planted.drift_volatility**2 - doubt) / (doubt + noise)
    return math.sqrt((planted.assets - 1) * told / (1 + 2 * told))


def panel_returns(panel: Panel, haircut_frac: float = 0.0) -> FloatArray:
    """Return log-returns since the last close, (T, S); 0 without one. After a last bar stands the loss of delisting."""
    marks = np.where(np.isnan(panel.last_close), 1.0, panel.last_close)
    returns = np.diff(np.log(marks), axis=0, prepend=np.log(marks[:1]))
    returns[1:][~panel.listed[:-1]] = 0.0  # a first close follows none
    returns[1:][panel.listed[:-1] & ~panel.listed[1:]] = math.log1p(-haircut_frac)
    return returns


def score_portfolio(targets: FloatArray, panel: Panel, cost_frac: float, haircut_frac: float = 0.0) -> FloatArray:
    """Return what each bar but the first earned: the sum of target[t-1] * r[t], less cost_frac * |changes|, (T - 1,).

    Args:
        targets: (T, S) exposure decided at each close.

    Raises:
        DataError: the shapes differ.
    """
    if targets.shape != panel.close.shape:
        raise DataError(f"targets of shape {targets.shape} do not fit a panel of shape {panel.close.shape}")
    turnover = np.abs(np.diff(targets, axis=0, prepend=0.0)).sum(axis=1)[:-1]
    earned: FloatArray = (targets[:-1] * panel_returns(panel, haircut_frac)[1:]).sum(axis=1)
    earned -= cost_frac * turnover
    return earned


def _doubt(planted: MomentumPanel, noise: float) -> float:
    # Variance of the next drift around its forecast once the filter has settled: the root of its Riccati equation.
    kept, renewal = planted.persistence**2, (1 - planted.persistence**2) * planted.drift_volatility**2
    middle = noise * (1 - kept) - renewal
    return (math.sqrt(middle**2 + 4 * noise * renewal) - middle) / 2


def _filtered_drift(planted: MomentumPanel, returns: FloatArray, noise: float) -> FloatArray:
    # Forecast of the drift of the bar after each, (T, S), from a start that knows its distribution only.
    kept, renewal = planted.persistence, (1 - planted.persistence**2) * planted.drift_volatility**2
    forecast, doubt = np.zeros(returns.shape[1]), planted.drift_volatility**2
    forecasts = np.empty_like(returns)
    for row, seen in enumerate(returns):
        gain = doubt / (doubt + noise)
        forecast = kept * (forecast + gain * (seen - forecast))
        doubt = kept**2 * (1 - gain) * doubt + renewal
        forecasts[row] = forecast
    return forecasts
