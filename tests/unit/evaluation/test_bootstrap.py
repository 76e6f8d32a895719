"""The stationary bootstrap against its definition, against `arch`, and for coverage."""

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap

from src.errors import DataError
from src.evaluation.bootstrap import (
    block_length,
    bootstrap_interval,
    sharpe_interval,
    sharpe_ratios,
    stationary_rows,
)


def mean(sample: np.ndarray) -> np.ndarray:
    return sample.mean(axis=-1)


def autoregressive(length: int, correlation: float, seed: int) -> np.ndarray:
    """Return an AR(1) series of unit innovations."""
    noise = np.random.default_rng(seed).normal(size=length)
    series = np.zeros(length)
    for row in range(1, length):
        series[row] = correlation * series[row - 1] + noise[row]
    return series


def test_blocks_are_consecutive_rows_of_geometric_length() -> None:
    rows = stationary_rows(200, block_bars=8.0, draws=500, rng=np.random.default_rng(0))
    breaks = (np.diff(rows, axis=1) % 200) != 1
    # A new block starts with probability 1/8 and by chance continues the old one with probability 1/200.
    assert breaks.mean() == pytest.approx(1 / 8 * (1 - 1 / 200), abs=0.004)
    assert rows.min() == 0
    assert rows.max() == 199
    np.testing.assert_allclose(np.bincount(rows.ravel()) / rows.size, 1 / 200, rtol=0.25)


def test_blocks_of_one_bar_are_the_ordinary_bootstrap() -> None:
    rows = stationary_rows(50, block_bars=1.0, draws=400, rng=np.random.default_rng(1))
    assert (np.diff(rows, axis=1) % 50 == 1).mean() == pytest.approx(1 / 50, abs=0.005)


def test_interval_of_a_dependent_mean_agrees_with_arch() -> None:
    series = autoregressive(400, 0.5, seed=2)
    ours = bootstrap_interval((series,), mean, np.random.default_rng(0), draws=4_000, block_bars=12.0)
    theirs = StationaryBootstrap(12, series, seed=1).conf_int(np.mean, 4_000, method="percentile").ravel()
    assert ours.estimate == pytest.approx(series.mean())
    np.testing.assert_allclose([ours.low, ours.high], theirs, atol=0.15 * (theirs[1] - theirs[0]) / 4)


def test_coverage_on_independent_returns_is_close_to_nominal() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(300):
        found = bootstrap_interval((rng.normal(0.1, 1.0, 120),), mean, rng, draws=200, level=0.9, block_bars=1.0)
        inside += not found.excludes(0.1)
    assert 0.85 <= inside / 300 <= 0.94  # binomial standard deviation .017


def test_blocks_widen_the_interval_of_a_persistent_series() -> None:
    series = autoregressive(600, 0.6, seed=4)
    rng = np.random.default_rng(0)
    alone = bootstrap_interval((series,), mean, rng, block_bars=1.0)
    blocks = bootstrap_interval((series,), mean, rng)
    # The long-run standard deviation of AR(1) is 1 / (1 - .6), the marginal one 1 / sqrt(1 - .36): twice as wide.
    assert 1.5 < (blocks.high - blocks.low) / (alone.high - alone.low) < 2.5


def test_aligned_series_are_resampled_together() -> None:
    series = np.random.default_rng(5).normal(size=100)
    difference = bootstrap_interval(
        (series + 0.25, series), lambda a, b: mean(a) - mean(b), np.random.default_rng(0), draws=50
    )
    assert (difference.low, difference.high) == (pytest.approx(0.25), pytest.approx(0.25))


def test_same_generator_state_gives_the_same_interval() -> None:
    series = np.random.default_rng(6).normal(size=80)
    first, second = (sharpe_interval(series, 252.0, np.random.default_rng(9)) for _ in range(2))
    assert first == second


def test_sharpe_interval_is_annual_and_around_the_estimate() -> None:
    series = np.random.default_rng(7).normal(0.1, 1.0, 1_000)
    found = sharpe_interval(series, 252.0, np.random.default_rng(0))
    assert found is not None
    assert found.estimate == pytest.approx(series.mean() / series.std(ddof=1) * 252**0.5)
    # Lo (2002): standard error of a Sharpe ratio of independent returns is sqrt((1 + SR²/2) / T) per bar.
    per_bar = found.estimate / 252**0.5
    error = np.sqrt((1 + per_bar**2 / 2) / 1_000 * 252)
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1.0, abs=0.1)


def test_sharpe_of_idle_or_short_series_has_no_interval() -> None:
    assert sharpe_interval(np.zeros(100), 252.0, np.random.default_rng(0)) is None
    assert sharpe_interval(np.array([0.1, -0.2]), 252.0, np.random.default_rng(0)) is None


def test_resamples_without_variance_count_as_zero() -> None:
    np.testing.assert_array_equal(sharpe_ratios(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])), [0.0, 2.0])


def test_automatic_blocks_grow_with_dependence_and_stay_in_bounds() -> None:
    assert block_length(np.zeros(50)) == 1.0
    assert block_length(np.random.default_rng(8).normal(size=2_000)) < 6
    assert 10 < block_length(autoregressive(2_000, 0.8, seed=8)) < 2_000 / 3


def test_impossible_requests_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="at least 20 bars, was 5"):
        bootstrap_interval((np.ones(5),), mean, rng)
    with pytest.raises(DataError, match="one length"):
        bootstrap_interval((np.ones(30), np.ones(31)), mean, rng)
    with pytest.raises(DataError, match="block_bars must be >= 1, was 0"):
        stationary_rows(30, 0.0, 1, rng)
