"""How far to trust a classifier's probabilities on a real series, where nobody knows the regimes.

If the probabilities are right, so is the mixture they make of the next bar's return: one normal distribution per
regime, weighted by how likely each regime is to hold next. The temperature is the one under which the returns of the
training bars are most likely. On a market whose regimes are known it equals the one fitted to the labels (tested).
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from src.market.bars import FloatArray
from src.market.synthetic.regime_market import REGIME_MARKET, REGIMES
from src.reasoning.candle_scale import Samples
from src.reasoning.market_module import MarketModule

LOWEST, HIGHEST = 0.3, 8.0
_EM_STEPS = 30
_MIN_WEIGHT = 1.0  # bars; a regime that hardly occurs keeps the spread of all


def with_temperature(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return probabilities^(1 / temperature), normalised (Guo et al. 2017, arXiv 1706.04599), (T, S)."""
    powers = probabilities ** (1 / temperature)
    normalised: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return normalised


def predictive_temperature(classifier: MarketModule, samples: Samples) -> float:
    """Return the temperature, in [0.3, 8], under which the bars of the given rows are most likely.

    Args:
        classifier: of regimes; not sharpened yet.
    """
    seen = [(classifier.transform(bars[: rows.stop]), bars.log_returns, rows) for bars, rows in samples]
    probabilities = np.concatenate([table[rows.start : rows.stop - 1] for table, _, rows in seen])
    following = np.concatenate([returns[rows.start + 1 : rows.stop] for _, returns, rows in seen])
    following = following / following.std()

    def loss(log_temperature: float) -> float:
        weights = with_temperature(probabilities, np.exp(log_temperature)) @ _chain()
        return -mixture_log_likelihood(weights, following)

    found: Any = minimize_scalar(
        loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 0.02}
    )
    return float(np.exp(found.x))


def mixture_log_likelihood(weights: FloatArray, values: FloatArray) -> float:
    """Return the mean log-likelihood of a normal mixture with known weights per row, fitted by EM.

    Args:
        weights: (T, S) of each component for each value.
        values: (T,) of about unit size.
    """
    shares = weights
    column = values[:, None]
    for _ in range(_EM_STEPS):
        total = shares.sum(axis=0)
        mean = (shares * column).sum(axis=0) / np.maximum(total, _MIN_WEIGHT)
        variance = ((shares * (column - mean) ** 2).sum(axis=0) + _MIN_WEIGHT) / (total + _MIN_WEIGHT)
        densities = weights * np.exp(-0.5 * (column - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
        density = np.maximum(densities.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)  # an outlier of outliers
        shares = densities / density
    return float(np.log(density).mean())


def _chain() -> FloatArray:
    # A regime stays with 1 - 1 / mean length; the others are equally likely to follow.
    leave, others = 1 / REGIME_MARKET.mean_bars, len(REGIMES) - 1
    chain: FloatArray = np.eye(len(REGIMES)) * (1 - leave - leave / others) + leave / others
    return chain
