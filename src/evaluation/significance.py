"""How much of a Sharpe ratio is luck: short samples, fat tails, and the best of many tries.

Convention of López de Prado, Lipton and Zoonekynd, "How to Use the Sharpe Ratio" (2025), extending Bailey and López de
Prado (2012, 2014): Sharpe ratios are per bar, never annual; the variance of the estimate is that under the null
hypothesis; kurtosis is 3 for a normal. Returns are taken as serially independent: for strategies that hold positions
over many bars, compare with the block bootstrap (`bootstrap.py`).

The probability of backtest overfitting is by combinatorially symmetric cross-validation (Bailey, Borwein, López de
Prado and Zhu 2017). One draw of it under the null has a standard deviation near .18: never decide on a single one.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import e, exp, inf, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import log_ndtr
from scipy.stats import norm

from src.errors import DataError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TrackRecord:
    """A Sharpe ratio per bar and what decides how far to trust it."""

    sharpe: float
    bars: int
    skew: float
    kurtosis: float  # 3 for a normal


@dataclass(frozen=True)
class Overfitting:
    """Outcome of the cross-validation.

    Attributes:
        probability: share of splits in which the strategy best in sample is in the lower half out of sample.
        logits: of its relative rank out of sample, one per split; negative is the lower half.
    """

    probability: float
    logits: FloatArray


def track_record(returns: FloatArray) -> TrackRecord:
    """Measure returns per bar, (T,).

    Raises:
        DataError: fewer than three bars, or returns that do not vary.
    """
    if len(returns) < 3 or np.ptp(returns) <= 1e-14:
        raise DataError(f"a track record needs at least 3 bars of returns that vary, had {len(returns)}")
    standard = (returns - returns.mean()) / returns.std()
    sharpe = float(returns.mean() / returns.std(ddof=1))
    return TrackRecord(sharpe, len(returns), float(np.mean(standard**3)), float(np.mean(standard**4)))


def sharpe_variance(record: TrackRecord, true_sharpe: float) -> float:
    """Return the variance of the estimated Sharpe ratio if `true_sharpe` were the truth.

    `(1 − skew·SR + (kurtosis − 1)/4 · SR²) / T`.
    """
    return (1.0 - record.skew * true_sharpe + (record.kurtosis - 1.0) / 4.0 * true_sharpe**2) / record.bars


def probabilistic_sharpe(record: TrackRecord, benchmark: float = 0.0) -> float:
    """Return the probability that chance would have shown less, were the true Sharpe ratio per bar `benchmark`."""
    return float(norm.cdf((record.sharpe - benchmark) / np.sqrt(sharpe_variance(record, benchmark))))


def minimum_track_record(record: TrackRecord, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Return the bars needed before this Sharpe ratio exceeds `benchmark` with `confidence`; None if it lies below."""
    if record.sharpe <= benchmark:
        return None
    variance_of_one_bar = sharpe_variance(record, benchmark) * record.bars
    return float(variance_of_one_bar * (norm.ppf(confidence) / (record.sharpe - benchmark)) ** 2)


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of `trials` worthless strategies is expected to show.

    `√V · ((1 − γ)·Φ⁻¹(1 − 1/K) + γ·Φ⁻¹(1 − 1/(K·e)))` with γ of Euler–Mascheroni; 0 for a single trial.

    Args:
        trials: every evaluation that could have been chosen, K.
        variance: of the Sharpe ratios per bar among the trials, V.
    """
    _refuse_no_trials(trials)
    if trials == 1:
        return 0.0
    gamma = float(np.euler_gamma)
    quantiles = (1.0 - gamma) * norm.ppf(1.0 - 1.0 / trials) + gamma * norm.ppf(1.0 - 1.0 / (trials * e))
    return float(np.sqrt(variance) * quantiles)


def deflated_sharpe(record: TrackRecord, trials: int, variance: float) -> float:
    """Return the probabilistic Sharpe ratio of the best of `trials` against what luck would have made of them.

    The benchmark is `expected_best_sharpe`; the best of K estimates also scatters less than one of them, so the
    variance is multiplied by that of the largest of K standard normals (2025 paper; the 2014 paper leaves it out).
    """
    benchmark = expected_best_sharpe(trials, variance)
    spread = sharpe_variance(record, benchmark) * variance_of_largest(trials)
    return float(norm.cdf((record.sharpe - benchmark) / np.sqrt(spread)))


@cache
def variance_of_largest(count: int) -> float:
    """Return the variance of the largest of `count` independent standard normals, by quadrature."""
    _refuse_no_trials(count)

    def moment(power: int) -> float:
        def weighted(x: float) -> float:
            return float(x**power * count * exp((count - 1) * log_ndtr(x) - x * x / 2.0) / sqrt(2.0 * pi))

        # The mass moves outwards and narrows as the count grows; tell the integrator where it is.
        middle = float(norm.ppf(0.5 ** (1.0 / count)))
        return float(sum(quad(weighted, low, high)[0] for low, high in ((-inf, middle), (middle, inf))))

    return moment(2) - moment(1) ** 2


def backtest_overfitting(returns: FloatArray, blocks: int = 16) -> Overfitting:
    """Cross-validate the choice of the best strategy by Sharpe ratio.

    Args:
        returns: per bar, (T, N): N strategies over the same bars. The first `T mod blocks` bars are left out.
        blocks: even number of equal stretches; every half of them is in sample once, the rest out of sample.

    Raises:
        DataError: fewer than two strategies, an odd number of blocks, or blocks of fewer than two bars.
    """
    bars, strategies = returns.shape
    if strategies < 2 or blocks < 2 or blocks % 2 or bars < 2 * blocks:
        raise DataError(
            f"overfitting needs >= 2 strategies and an even number of blocks of >= 2 bars, "
            f"had {strategies} strategies over {bars} bars in {blocks} blocks"
        )
    in_sample = _sharpe_of_halves(returns, blocks)
    out_of_sample = in_sample[
        ::-1
    ]  # combinations are listed so that the complement of the i-th is the i-th from the end
    best = np.argmax(in_sample, axis=1)
    chosen = np.take_along_axis(out_of_sample, best[:, None], axis=1)
    # Ties share their ranks: of N equal strategies none is in the lower half.
    rank = (out_of_sample < chosen).sum(axis=1) + 0.5 * ((out_of_sample == chosen).sum(axis=1) + 1)
    share = rank / (strategies + 1)
    logits = np.log(share / (1.0 - share))
    return Overfitting(float(np.mean(logits < 0) + 0.5 * np.mean(logits == 0)), logits)


def _sharpe_of_halves(returns: FloatArray, blocks: int) -> FloatArray:
    # Sharpe ratios (halves, N) of every choice of half the blocks, from sums per block; 0 without variance.
    size = len(returns) // blocks
    centred = returns[len(returns) - size * blocks :] - returns.mean(axis=0)  # squares of small differences stay exact
    stretches = centred.reshape(blocks, size, -1)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    count = size * blocks // 2
    mean = chosen @ stretches.sum(axis=1) / count
    square = chosen @ (stretches**2).sum(axis=1) / count
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    ratio: FloatArray = np.divide(
        mean + returns.mean(axis=0), deviation, out=np.zeros_like(mean), where=deviation > 1e-12
    )
    return ratio


def _refuse_no_trials(trials: int) -> None:
    if trials < 1:
        raise DataError(f"the number of trials must be >= 1, was {trials}; count every evaluation that was compared")
