"""Optimal policies of the synthetic markets, by relative value iteration under proportional cost.

The state is (signal, position held). The signal is the log price for a reverting market, how far the price is ahead of
its average for a runaway one, and the log-odds of the upward state, given the past, for a switching one. Positions are
-1, 0 and 1. Method: White (1963); Puterman (1994), section 8.5. Where nothing is charged the position does not matter,
and the belief alone decides (`bayes_filters.py`). Stated optima are log-return per bar after costs.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.bayes_filters import filtered_gain, filtered_targets, prior_log_odds, up_log_odds
from src.market.synthetic.known_markets import (
    START_PRICE,
    AutocorrelatedMarket,
    MartingaleMarket,
    RevertingMarket,
    RunawayMarket,
    SwitchingMarket,
    SyntheticMarket,
    synthetic_market,
)

POSITIONS = np.array([-1.0, 0.0, 1.0])
_FLAT = 1  # index of the flat position
_GRID_POINTS = 401
_REACH = 6.0  # standard deviations the grid extends over
_TOLERANCE = 1e-10  # log-return per bar
_MAX_SWEEPS = 5_000


@dataclass(frozen=True)
class _Solution:
    gain: float
    grid: FloatArray  # (G,) evenly spaced signal values
    policy: NDArray[np.intp]  # (G, 3) index of the next position, by signal and position held


def optimal_gain(market: str | SyntheticMarket) -> float:
    """Return the long-run mean log-return per bar, after costs, of the best policy of a market, by name or as such.

    Raises:
        ConfigError: no market has this name.
    """
    market = _definition(market)
    if isinstance(market, MartingaleMarket):
        return 0.0
    if isinstance(market, AutocorrelatedMarket):
        return filtered_gain(market)
    return _solve(market).gain


def optimal_targets(market: str | SyntheticMarket, bars: BarSeries) -> FloatArray:
    """Return the best exposure (-1, 0 or 1) at each close, (T,), from a flat start; row t uses bars up to t only.

    Args:
        market: that drew `bars`, by name or as such.

    Raises:
        ConfigError: no market has this name.
    """
    market = _definition(market)
    if isinstance(market, MartingaleMarket):
        return np.zeros(len(bars))
    if isinstance(market, AutocorrelatedMarket):
        return filtered_targets(market, bars)
    return _follow(_solve(market), _signal(market, bars))


def _definition(market: str | SyntheticMarket) -> SyntheticMarket:
    return synthetic_market(market) if isinstance(market, str) else market


def _signal(market: RevertingMarket | RunawayMarket | SwitchingMarket, bars: BarSeries) -> FloatArray:
    if isinstance(market, SwitchingMarket):
        return up_log_odds(market, bars)
    log_price: FloatArray = np.log(bars.close / START_PRICE)
    if isinstance(market, RevertingMarket):
        return log_price
    return market.distance(np.diff(log_price, prepend=0.0))


def _follow(solution: _Solution, signal: FloatArray) -> FloatArray:
    grid = solution.grid
    nearest = np.rint((signal - grid[0]) / (grid[1] - grid[0])).astype(np.intp).clip(0, len(grid) - 1)
    held, path = _FLAT, []
    for choices in solution.policy[nearest].tolist():
        held = choices[held]
        path.append(held)
    return POSITIONS[path]


@cache
def _solve(market: RevertingMarket | RunawayMarket | SwitchingMarket) -> _Solution:
    model = _switching_model(market) if isinstance(market, SwitchingMarket) else _pulled_model(market)
    grid, transitions, edge = model
    gain, policy = relative_value_iteration(transitions, edge, market.cost_frac)
    return _Solution(gain, grid, policy)


def _pulled_model(market: RevertingMarket | RunawayMarket) -> tuple[FloatArray, FloatArray, FloatArray]:
    # grid, (G, G) transitions, (G,) expected return of a long position over the next bar; back to the mean, or on
    spread = market.volatility / math.sqrt(1 - market.persistence**2)
    grid = np.linspace(-_REACH * spread, _REACH * spread, _GRID_POINTS)
    pull = market.persistence - 1 if isinstance(market, RevertingMarket) else 1 - market.persistence
    return grid, _normal(grid, market.persistence * grid, market.volatility), pull * grid


def _switching_model(market: SwitchingMarket) -> tuple[FloatArray, FloatArray, FloatArray]:
    # The prior log-odds never leave ±logit(stay); from there one return moves them by a normal step.
    weight = 2 * market.drift / market.volatility**2
    reach = math.log(market.stay / (1 - market.stay)) + weight * (market.drift + _REACH * market.volatility)
    grid = np.linspace(-reach, reach, _GRID_POINTS)
    prior = np.array([prior_log_odds(value, market.stay) for value in grid.tolist()])
    up = 1 / (1 + np.exp(-prior))
    rises, falls = (
        _normal(grid, prior + sign * weight * market.drift, weight * market.volatility) for sign in (1.0, -1.0)
    )
    transitions = up[:, None] * rises + (1 - up)[:, None] * falls
    return grid, transitions, (2 * up - 1) * market.drift


def _normal(grid: FloatArray, means: FloatArray, deviation: float) -> FloatArray:
    # (G, G): probability of each grid point for each mean
    weights = np.exp(-0.5 * ((grid[None, :] - means[:, None]) / deviation) ** 2)
    probabilities: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return probabilities


def relative_value_iteration(
    transitions: FloatArray, edge: FloatArray, cost_frac: float
) -> tuple[float, NDArray[np.intp]]:
    """Solve max E[position * edge - cost_frac * |change of position|] per step for the average-reward criterion.

    Args:
        transitions: (G, G) probabilities of the next signal; the position does not move the signal.
        edge: (G,) expected return of a position of 1 over the next step.

    Returns:
        The gain per step, and the index into `POSITIONS` to move to, by signal and position held, (G, 3).
    """
    fees = cost_frac * np.abs(POSITIONS[:, None] - POSITIONS[None, :])  # (held, next)
    reward = edge[:, None] * POSITIONS  # (G, next)
    value = np.zeros_like(reward)  # (G, held)
    for _ in range(_MAX_SWEEPS):
        onward = reward + transitions @ value  # (G, next)
        choices = onward[:, None, :] - fees  # (G, held, next)
        improved = choices.max(axis=2)
        growth = improved - value
        if growth.max() - growth.min() < _TOLERANCE:
            break
        value = improved - improved[len(edge) // 2, _FLAT]
    else:
        raise AssertionError(f"value iteration did not settle in {_MAX_SWEEPS} sweeps")
    return float(growth.max() + growth.min()) / 2, choices.argmax(axis=2)
