"""What can be known of the regime of a `RegimeMarket`: the exact Bayes filter, given its parameters and every substep.

Candles show less than the substeps, so this bounds from above whatever is computed from candles.
"""

import numpy as np

from src.market.bars import FloatArray
from src.market.synthetic.regime_market import RegimeMarket

_HYPOTHESES = 300  # entries of a range kept in mind; the least likely makes way for the newest


def regime_posterior(market: RegimeMarket, steps: FloatArray) -> FloatArray:
    """Return the probability of each regime at each bar given all substeps up to its close, (N, T, 4).

    A range depends on where it began, so there is one hypothesis for every bar at which it could have begun. The 300
    most likely are kept, and the weight of the rest is shared among them.

    Args:
        steps: (N, T, M) log prices as `RegimeMarket.draw` gives them, starting from 0.
    """
    paths, bars, _ = steps.shape
    leave = 1 / market.mean_bars
    free = np.full((paths, 3), 0.25)  # up, down, volatile
    ranges, anchors = np.zeros((paths, _HYPOTHESES)), np.zeros((paths, _HYPOTHESES))
    ranges[:, 0] = 0.25
    posterior = np.empty((paths, bars, 4))
    before = np.zeros(paths)
    for bar in range(bars):
        if bar:
            free, ranges, anchors = _advanced(free, ranges, anchors, before, leave)
        path = np.concatenate([before[:, None], steps[:, bar]], axis=1)  # (N, M + 1)
        log_free, log_ranges = _log_likelihoods(market, path, anchors)
        best = np.maximum(log_free.max(axis=1), log_ranges.max(axis=1))[:, None]
        free, ranges = free * np.exp(log_free - best), ranges * np.exp(log_ranges - best)
        total = free.sum(axis=1) + ranges.sum(axis=1)
        free, ranges = free / total[:, None], ranges / total[:, None]
        posterior[:, bar] = np.column_stack([free[:, 0], free[:, 1], ranges.sum(axis=1), free[:, 2]])
        before = steps[:, bar, -1]
    return posterior


def _advanced(
    free: FloatArray, ranges: FloatArray, anchors: FloatArray, price: FloatArray, leave: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    # One step of the regime chain. A range entered now is anchored at the last close.
    outside, inside = free.sum(axis=1), ranges.sum(axis=1)
    free = (1 - leave) * free + leave / 3 * (outside[:, None] - free + inside[:, None])
    rows, least = np.arange(len(price)), ranges.argmin(axis=1)
    ranges, anchors = ranges.copy(), anchors.copy()
    ranges[rows, least], anchors[rows, least] = 0.0, price
    ranges *= (1 - leave) * (inside / np.maximum(ranges.sum(axis=1), np.finfo(float).tiny))[:, None]
    ranges[rows, least] = leave / 3 * outside
    return free, ranges, anchors


def _log_likelihoods(market: RegimeMarket, path: FloatArray, anchors: FloatArray) -> tuple[FloatArray, FloatArray]:
    # Of one bar under up, down and volatile, (N, 3), and under a range about each anchor, (N, hypotheses).
    moves, count = np.diff(path, axis=1), path.shape[1] - 1
    drift, pull = market.drift / count, market.pull / count
    calm, stormy = market.volatility**2 / count, market.storm**2 / count
    free = np.column_stack([_normal(moves - drift, calm), _normal(moves + drift, calm), _normal(moves, stormy)])
    distance = path[:, None, :-1] - anchors[:, :, None]
    return free, _normal(moves[:, None] + pull * distance, calm)


def _normal(errors: FloatArray, variance: float) -> FloatArray:
    # Log density up to a constant, summed over substeps.
    density: FloatArray = -0.5 * (np.log(variance) + errors**2 / variance).sum(axis=-1)
    return density
