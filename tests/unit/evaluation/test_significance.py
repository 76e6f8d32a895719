"""Published figures to four digits, known distributions, and behaviour under the null."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from src.errors import DataError
from src.evaluation.significance import (
    TrackRecord,
    bars_to_confidence,
    confidence_of_edge,
    deflated_sharpe,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    recognised_sharpe,
    sharpe_variance,
    track_record,
    variance_of_largest,
)

# The worked example of López de Prado, Lipton and Zoonekynd (2025): mean .036 and deviation .079 over 24 months.
PUBLISHED = TrackRecord(sharpe=0.036 / 0.079, bars=24, skew=-2.448, kurtosis=10.164)


def test_published_example() -> None:
    assert probabilistic_sharpe(PUBLISHED) == pytest.approx(0.987, abs=5e-4)
    assert probabilistic_sharpe(PUBLISHED, 0.1) == pytest.approx(0.939, abs=5e-4)
    assert minimum_track_record(PUBLISHED) == pytest.approx(13.029, abs=5e-4)
    assert expected_best_sharpe(10, 0.1) == pytest.approx(0.498, abs=5e-4)
    assert deflated_sharpe(PUBLISHED, 10, 0.1) == pytest.approx(0.416, abs=5e-4)


def test_minimum_track_record_is_where_the_probability_reaches_the_confidence() -> None:
    bars = minimum_track_record(PUBLISHED, 0.1, 0.95)
    assert bars is not None
    long_enough = TrackRecord(PUBLISHED.sharpe, 1, PUBLISHED.skew, PUBLISHED.kurtosis)
    z = (PUBLISHED.sharpe - 0.1) / np.sqrt(sharpe_variance(long_enough, 0.1) / bars)
    assert stats.norm.cdf(z) == pytest.approx(0.95)
    assert minimum_track_record(PUBLISHED, benchmark=0.5) is None


def test_variance_of_the_largest_normal() -> None:
    assert variance_of_largest(1) == pytest.approx(1.0)
    assert variance_of_largest(2) == pytest.approx(1 - 1 / np.pi)
    draws = np.random.default_rng(0).normal(size=(40_000, 100)).max(axis=1)
    assert variance_of_largest(100) == pytest.approx(draws.var(), rel=0.03)
    # Far out the largest is Gumbel with scale 1 / √(2 ln K): compare the order of magnitude.
    assert 0.7 < variance_of_largest(1_000_000) / (np.pi**2 / 6 / (2 * np.log(1e6))) < 1.1


def test_expected_best_of_worthless_strategies() -> None:
    draws = np.random.default_rng(1).normal(size=(20_000, 50)).max(axis=1)
    assert expected_best_sharpe(50, 4.0) == pytest.approx(2 * draws.mean(), rel=0.02)


def test_one_trial_deflates_nothing() -> None:
    assert expected_best_sharpe(1, 0.3) == 0.0
    assert deflated_sharpe(PUBLISHED, 1, 0.3) == pytest.approx(probabilistic_sharpe(PUBLISHED))


def test_track_record_agrees_with_scipy() -> None:
    returns = np.random.default_rng(2).standard_t(4, 500) * 0.01 + 0.001
    record = track_record(returns)
    assert record.sharpe == pytest.approx(returns.mean() / stats.tstd(returns))
    assert record.skew == pytest.approx(stats.skew(returns))
    assert record.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert record.bars == 500


def test_variance_formula_matches_simulation_of_skewed_returns() -> None:
    rng = np.random.default_rng(3)
    sample = 0.3 + (1.0 - rng.exponential(size=(4_000, 200)))  # mean .3, deviation 1, skew -2, kurtosis 9
    sharpes = sample.mean(axis=1) / sample.std(axis=1, ddof=1)
    expected = sharpe_variance(TrackRecord(0.3, 200, -2.0, 9.0), 0.3)
    assert sharpes.var() == pytest.approx(expected, rel=0.1)


def test_deflated_sharpe_rarely_passes_the_best_of_many_worthless_strategies() -> None:
    rng, passed = np.random.default_rng(4), 0
    for _ in range(400):
        returns = rng.normal(size=(250, 50))
        sharpes = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
        best = track_record(returns[:, sharpes.argmax()])
        passed += deflated_sharpe(best, 50, float(sharpes.var(ddof=1))) > 0.95
    assert passed / 400 < 0.09  # nominal .05, binomial standard deviation .011


def test_variance_formula_matches_simulation_of_dependent_skewed_returns() -> None:
    rng, rho, bars = np.random.default_rng(10), 0.4, 400
    shocks = 1.0 - rng.exponential(size=(4_000, bars + 50))
    series = np.zeros_like(shocks)
    for row in range(1, shocks.shape[1]):
        series[:, row] = rho * series[:, row - 1] + shocks[:, row]
    sample = series[:, 50:] / series.std() + 0.3
    sharpes = sample.mean(axis=1) / sample.std(axis=1, ddof=1)
    skew, kurtosis = float(stats.skew(sample.ravel())), float(stats.kurtosis(sample.ravel(), fisher=False))
    expected = sharpe_variance(TrackRecord(0.3, bars, skew, kurtosis, rho), 0.3)
    assert sharpes.var() == pytest.approx(expected, rel=0.1)
    assert sharpe_variance(TrackRecord(0.3, bars, skew, kurtosis), 0.3) < 0.6 * sharpes.var()


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7])
def test_variance_formula_sums_the_moments_of_all_lags(rho: float) -> None:
    # x(k) = ρ^k x(0) + what is independent of x(0), for k >= 0: E[x(0) x(k)] = ρ^k, E[x(0) x(k)²] = ρ^2k · skew,
    # E[x(0)² x(k)] = ρ^k · skew, and the squares correlate by ρ^2k. The lags go to both sides.
    lags = np.arange(1, 200)
    mean = 1 + 2 * (rho**lags).sum()
    of_skew = 1 + (rho**lags).sum() + (rho ** (2 * lags)).sum()
    square = 1 + 2 * (rho ** (2 * lags)).sum()
    expected = (mean + 2.0 * of_skew * 0.3 + square * (9.0 - 1.0) / 4.0 * 0.3**2) / 100
    assert sharpe_variance(TrackRecord(0.1, 100, -2.0, 9.0, rho), 0.3) == pytest.approx(expected)


def crashing(bars: int, rng: np.random.Generator, chance: float = 0.005, size: float = 15.0) -> np.ndarray:
    """Return returns without an edge: small gains, and rare crashes that take all of them."""
    return rng.normal(size=bars) + size * (chance - (rng.random(bars) < chance))


@pytest.mark.parametrize("sign", [1.0, -1.0])  # rare crashes, rare gains
def test_confidence_errs_no_oftener_than_it_says_whatever_is_rare(sign: float) -> None:
    rng, passed, blind = np.random.default_rng(20), 0, 0
    for _ in range(1_500):
        sealed, earlier = sign * crashing(250, rng), sign * crashing(2_000, rng)
        passed += confidence_of_edge(track_record(sealed, earlier)) > 0.95
        blind += probabilistic_sharpe(track_record(sealed)) > 0.95
    assert passed / 1_500 <= 0.05 + 0.011  # two binomial standard deviations
    assert sign < 0 or blind / 1_500 > 0.08  # without skew, and without what was seen before


def test_confidence_is_that_of_the_larger_variance() -> None:
    crashes = TrackRecord(0.1, 400, skew=-3.0, kurtosis=20.0)
    full = (1 + 3.0 * 0.1 + 19.0 / 4.0 * 0.01) / 400
    assert confidence_of_edge(crashes) == pytest.approx(stats.norm.cdf(0.1 / np.sqrt(full)))
    gains = replace(crashes, skew=3.0)  # one of them may be the whole record
    assert confidence_of_edge(gains) == pytest.approx(stats.norm.cdf(0.1 * np.sqrt(400)))


def test_bars_to_confidence_is_where_the_confidence_is_reached() -> None:
    record = TrackRecord(0.1, 100, skew=-1.0, kurtosis=8.0, autocorrelation=0.2)
    bars = bars_to_confidence(record, 0.975)
    assert bars is not None
    assert confidence_of_edge(replace(record, bars=round(bars))) == pytest.approx(0.975, abs=1e-4)
    assert bars_to_confidence(replace(record, sharpe=0.0), 0.975) is None


def test_the_recognised_sharpe_ratio_passes_as_often_as_it_says() -> None:
    shape = TrackRecord(0.0, 400, skew=0.0, kurtosis=3.0)
    needed = recognised_sharpe(shape, 0.95, 0.9)
    assert needed is not None
    sample = np.random.default_rng(21).normal(needed, 1.0, size=(2_000, 400))
    passed = [confidence_of_edge(track_record(returns)) > 0.95 for returns in sample]
    assert np.mean(passed) == pytest.approx(0.9, abs=0.02)  # three binomial standard deviations
    assert recognised_sharpe(replace(shape, bars=20, kurtosis=40.0), 0.95, 0.9) is None


def test_an_earlier_record_counts_for_skew_and_kurtosis_alone() -> None:
    rng = np.random.default_rng(22)
    returns, earlier = rng.normal(0.1, 1.0, 300), rng.exponential(size=900) + 5.0
    alone, both = track_record(returns), track_record(returns, earlier)
    assert replace(both, skew=alone.skew, kurtosis=alone.kurtosis) == alone
    centred = np.concatenate([returns - returns.mean(), earlier - earlier.mean()])
    assert both.skew == pytest.approx(stats.skew(centred))
    assert both.kurtosis == pytest.approx(stats.kurtosis(centred, fisher=False))


def test_autocorrelation_is_measured_and_a_negative_one_counts_as_none() -> None:
    shocks = np.random.default_rng(11).normal(size=5_000)
    series = np.zeros(5_000)
    for row in range(1, 5_000):
        series[row] = 0.5 * series[row - 1] + shocks[row]
    assert track_record(series).autocorrelation == pytest.approx(0.5, abs=3 * np.sqrt(0.75 / 5_000))
    assert track_record(np.array([1.0, -1.0, 1.1, -0.9, 1.0])).autocorrelation == 0.0


def test_probabilistic_sharpe_of_a_drifting_but_worthless_strategy_errs_as_often_as_it_says() -> None:
    rng, passed, ignoring = np.random.default_rng(12), 0, 0
    for _ in range(600):
        shocks, series = rng.normal(size=300), np.zeros(300)
        for row in range(1, 300):
            series[row] = 0.3 * series[row - 1] + shocks[row]
        record = track_record(series)
        passed += probabilistic_sharpe(record) > 0.95
        ignoring += probabilistic_sharpe(replace(record, autocorrelation=0.0)) > 0.95
    assert passed / 600 == pytest.approx(0.05, abs=0.027)  # three binomial standard deviations
    assert ignoring / 600 > 0.08


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="at least 3 bars of finite returns that vary, had 50"):
        track_record(np.full(50, 0.01))
    with pytest.raises(DataError, match="finite returns"):
        track_record(np.array([0.1, np.nan, 0.2, 0.3]))
    with pytest.raises(DataError, match="trials must be >= 1, was 0"):
        expected_best_sharpe(0, 0.1)
