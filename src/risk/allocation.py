"""How much of an account goes to each of several symbols: from moments of their returns to weights, (S,) each.

| function | weights | by |
| --- | --- | --- |
| `equal_weights` | the same for all | DeMiguel, Garlappi and Uppal 2009 |
| `inverse_volatility` | the same risk each, alone | |
| `risk_parity` | the same part each of the risk of all | Spinu 2013 |
| `minimum_variance` | long, least risk | Markowitz 1952 |
| `capped_kelly` | most growth, a fraction of it, capped | Kelly 1956; MacLean, Thorp and Ziemba 2011 |
| `at_volatility` | any weights, scaled to a risk | |

Long weights add up to 1; those of Kelly and at a volatility have the sum that follows. Moments are per bar. What is not
to be held is left out of the moments by the caller. Not here: limits (stations), and when to rebalance (members).
"""

import numpy as np

from src.errors import DataError
from src.market.bars import FloatArray

NEWTON_STEPS, TOLERANCE = 100, 1e-12
LEAST_BARS = 2


def shrunk_covariance(returns: FloatArray) -> FloatArray:
    """Return the covariance of returns (W, S), drawn towards a multiple of the identity, (S, S).

    The intensity is that of Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance
    matrices": the estimate is positive definite also where there are more symbols than bars.

    Raises:
        DataError: fewer than two bars, a value that is not finite, or no symbol moves at all.
    """
    bars, symbols = returns.shape
    if bars < LEAST_BARS or not np.isfinite(returns).all():
        raise DataError(f"a covariance needs at least {LEAST_BARS} bars of finite returns, got {bars}")
    apart = returns - returns.mean(axis=0)
    sample = apart.T @ apart / bars
    level = np.trace(sample) / symbols
    if level <= 0:
        raise DataError("no symbol moves in these bars, so nothing is known of their risk; use a longer window")
    distance = ((sample - level * np.eye(symbols)) ** 2).sum()
    squares = apart**2
    noise = ((squares.T @ squares).sum() / bars - (sample**2).sum()) / bars
    intensity = min(noise / distance, 1.0) if distance > 0 else 0.0
    shrunk: FloatArray = (1 - intensity) * sample + intensity * level * np.eye(symbols)
    return shrunk


def equal_weights(symbols: int) -> FloatArray:
    """Return 1 / S for each of S symbols, (S,)."""
    return np.full(symbols, 1 / symbols)


def inverse_volatility(covariance: FloatArray) -> FloatArray:
    """Return weights (S,) in inverse proportion to each symbol's volatility, for a covariance (S, S)."""
    each = 1 / np.sqrt(np.diag(covariance))
    return np.asarray(each / each.sum())


def minimum_variance(covariance: FloatArray) -> FloatArray:
    """Return the long weights (S,) of the least variance, for a covariance (S, S).

    They are proportional to the y >= 0 that minimises y'Cy / 2 - sum(y), a problem of least squares without negatives.
    """
    from scipy.optimize import nnls  # slow to load

    factor = np.linalg.cholesky(covariance)
    each, _ = nnls(factor.T, np.linalg.solve(factor, np.ones(len(covariance))))
    return np.asarray(each / each.sum())


def risk_parity(covariance: FloatArray) -> FloatArray:
    """Return the long weights (S,) of which each adds the same to the variance of all, for a covariance (S, S).

    They are proportional to the y that minimises y'Cy / 2 - sum(log y) / S, a convex problem, by damped Newton steps.
    """
    share = 1 / len(covariance)
    each = share / np.sqrt(np.diag(covariance))
    for _ in range(NEWTON_STEPS):
        slope = covariance @ each - share / each
        step = np.linalg.solve(covariance + np.diag(share / each**2), slope)
        size = float(np.sqrt(slope @ step))  # Newton's decrement
        each = each - step / (1 + size / np.sqrt(share))
        if size < TOLERANCE:
            break
    return np.asarray(each / each.sum())


def capped_kelly(
    mean: FloatArray, covariance: FloatArray, fraction: float, max_weight: float, max_gross: float
) -> FloatArray:
    """Return a fraction of the weights of the highest growth, C⁻¹m, short ones included, (S,).

    Args:
        mean: expected returns, (S,).
        covariance: of returns, (S, S).
        fraction: of Kelly's weights; half of them have three quarters of the growth.
        max_weight: no weight is larger in size.
        max_gross: their sizes add up to no more; all are scaled alike.
    """
    each = np.clip(fraction * np.linalg.solve(covariance, mean), -max_weight, max_weight)
    gross = np.abs(each).sum()
    return np.asarray(each * min(1.0, max_gross / gross)) if gross > 0 else each


def at_volatility(weights: FloatArray, covariance: FloatArray, volatility: float, max_gross: float) -> FloatArray:
    """Return weights (S,) scaled to a volatility a bar, or as far as their sizes add up to `max_gross`."""
    expected, gross = float(np.sqrt(weights @ covariance @ weights)), float(np.abs(weights).sum())
    if gross == 0:
        return weights
    scale = min(volatility / expected if expected > 0 else np.inf, max_gross / gross)
    return np.asarray(weights * scale)
