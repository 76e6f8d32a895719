"""How much of a Sharpe ratio is luck: short samples, fat tails, and the best of many tries.

Convention of López de Prado, Lipton and Zoonekynd, "How to Use the Sharpe Ratio" (2025), extending Bailey and López de
Prado (2012, 2014): Sharpe ratios are per bar, never annual; the variance of the estimate is that under the null
hypothesis; kurtosis is 3 for a normal. Returns may depend on the bar before (an autoregression of order one);
dependence of any other shape is left to the block bootstrap (`bootstrap.py`).

Under the null hypothesis of no edge the variance does not see skew: small gains with rare crashes, whose mean and
deviation err together, pass too often. `confidence_of_edge` therefore takes the full variance, at the estimate itself
(Mertens, 2002; Bailey and López de Prado, 2012), where it is the larger one. Where it is not, as of small losses with
rare gains, it would let a single lucky gain pass.
"""

from dataclasses import dataclass
from functools import cache
from math import e, exp, inf, pi, sqrt

import numpy as np
from scipy.integrate import quad
from scipy.special import log_ndtr
from scipy.stats import norm

from src.errors import DataError
from src.market.bars import FloatArray

_STEPS = 50  # of the fixed point of `recognised_sharpe`, which each brings closer by a large factor
_ABSURD = 10.0  # a Sharpe ratio per bar


@dataclass(frozen=True)
class TrackRecord:
    """A Sharpe ratio per bar and what decides how far to trust it."""

    sharpe: float
    bars: int
    skew: float
    kurtosis: float  # 3 for a normal
    autocorrelation: float = 0.0  # of neighbouring bars


def track_record(returns: FloatArray, earlier: FloatArray | None = None) -> TrackRecord:
    """Measure returns per bar, (T,).

    A negative autocorrelation counts as 0: it would make the record worth more bars than it has.

    Args:
        earlier: a further record of the same strategy, (R,), which skew and kurtosis are measured on as well: crashes
            that are rare may be missing in a short one. Its mean counts for nothing.

    Raises:
        DataError: fewer than three bars, or returns that do not vary or are not finite.
    """
    if len(returns) < 3 or not np.isfinite(returns).all() or np.ptp(returns) <= 1e-14:
        raise DataError(f"a track record needs at least 3 bars of finite returns that vary, had {len(returns)}")
    standard = _standard(_centred(returns))
    shape = standard if earlier is None else _standard(np.concatenate([_centred(returns), _centred(earlier)]))
    return TrackRecord(
        sharpe=float(returns.mean() / returns.std(ddof=1)),
        bars=len(returns),
        skew=float(np.mean(shape**3)),
        kurtosis=float(np.mean(shape**4)),
        autocorrelation=max(0.0, float(standard[:-1] @ standard[1:]) / len(returns)),
    )


def _centred(returns: FloatArray) -> FloatArray:
    centred: FloatArray = returns - returns.mean()
    return centred


def _standard(centred: FloatArray) -> FloatArray:
    standard: FloatArray = centred / centred.std()
    return standard


def sharpe_variance(record: TrackRecord, true_sharpe: float) -> float:
    """Return the variance of the estimated Sharpe ratio if `true_sharpe` were the truth.

    `(a − b·skew·SR + c·(kurtosis − 1)/4·SR²) / T`. For independent returns a, b and c are 1; with autocorrelation ρ
    they sum its powers over all lags: `a = (1 + ρ)/(1 − ρ)`, `b = 1 + ρ/(1 − ρ) + ρ²/(1 − ρ²)`,
    `c = (1 + ρ²)/(1 − ρ²)`.
    """
    rho = record.autocorrelation
    once, twice = rho / (1.0 - rho), rho**2 / (1.0 - rho**2)  # sums of ρ^k and of ρ^2k from lag one on
    of_mean, of_skew, of_square = 1.0 + 2.0 * once, 1.0 + once + twice, 1.0 + 2.0 * twice
    return (
        of_mean - of_skew * record.skew * true_sharpe + of_square * (record.kurtosis - 1.0) / 4.0 * true_sharpe**2
    ) / record.bars


def probabilistic_sharpe(record: TrackRecord, benchmark: float = 0.0) -> float:
    """Return the probability that chance would have shown less, were the true Sharpe ratio per bar `benchmark`."""
    return float(norm.cdf((record.sharpe - benchmark) / np.sqrt(sharpe_variance(record, benchmark))))


def minimum_track_record(record: TrackRecord, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """Return the bars needed before this Sharpe ratio exceeds `benchmark` with `confidence`; None if it lies below."""
    if record.sharpe <= benchmark:
        return None
    variance_of_one_bar = sharpe_variance(record, benchmark) * record.bars
    return float(variance_of_one_bar * (norm.ppf(confidence) / (record.sharpe - benchmark)) ** 2)


def confidence_of_edge(record: TrackRecord) -> float:
    """Return the probability that chance would have shown less, were there no edge, whatever the skew and the tails."""
    return float(norm.cdf(record.sharpe / np.sqrt(_cautious_variance(record, record.sharpe))))


def bars_to_confidence(record: TrackRecord, confidence: float) -> float | None:
    """Return the bars at which `confidence_of_edge` of a Sharpe ratio is `confidence`; None if it lies below 0."""
    if record.sharpe <= 0:
        return None
    variance_of_one_bar = _cautious_variance(record, record.sharpe) * record.bars
    return float(variance_of_one_bar * (norm.ppf(confidence) / record.sharpe) ** 2)


def recognised_sharpe(record: TrackRecord, confidence: float, probability: float) -> float | None:
    """Return the true Sharpe ratio at which a record of this length and shape passes `confidence` with `probability`.

    It solves `SR = (Φ⁻¹(confidence) + Φ⁻¹(probability)) · √V(SR)`; None if the record is too short for any.
    """
    deviations, found = float(norm.ppf(confidence) + norm.ppf(probability)), 0.0
    for _ in range(_STEPS):
        found = deviations * sqrt(_cautious_variance(record, found))
        if found > _ABSURD:
            return None
    return found


def _cautious_variance(record: TrackRecord, true_sharpe: float) -> float:
    return max(sharpe_variance(record, 0.0), sharpe_variance(record, true_sharpe))


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


def _refuse_no_trials(trials: int) -> None:
    if trials < 1:
        raise DataError(f"the number of trials must be >= 1, was {trials}; count every evaluation that was compared")
