"""Plausibility: features, the discriminant, and distances, on returns whose nature is known."""

import numpy as np
import pytest
from scipy import stats

from src.config.data import DataConfig
from src.config.stages.stress import StressConfig
from src.errors import DataError
from src.evaluation.plausibility import discriminative_score, nearest_distances, window_features, windows
from src.market.sources import load_bars
from src.market.synthetic.known_markets import generate
from src.market.synthetic.stressed_market import StressedMarket


def normal(seed: int, bars: int = 4_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, bars)


def clustered(seed: int, bars: int = 4_000) -> np.ndarray:
    return generate("C", bars + 1, np.random.default_rng(seed)).log_returns[1:]


def test_windows_are_stretches_of_the_series() -> None:
    cut = windows(np.arange(100.0), step=8, width=64)
    np.testing.assert_array_equal(cut[:, 0], [0, 8, 16, 24, 32])
    np.testing.assert_array_equal(cut[-1], np.arange(32, 96))


def test_features_against_scipy_and_their_definitions() -> None:
    cut = np.random.default_rng(0).standard_t(4, (5, 64)) * 0.01
    found, one = window_features(cut), cut[0]
    size = np.abs(one)
    assert found[0, 0] == pytest.approx(np.log(one.std()))
    assert found[0, 2:4] == pytest.approx([stats.skew(one), stats.kurtosis(one)])
    lagged = np.mean((size[3:] - size.mean()) * (size[:-3] - size.mean())) / size.var()
    assert found[0, 8] == pytest.approx(lagged)
    # All but the first are free of scale.
    np.testing.assert_allclose(window_features(5 * cut)[:, 1:], found[:, 1:], atol=1e-9)


def test_equal_laws_cannot_be_told_apart_and_other_laws_can() -> None:
    same = np.mean(
        [
            discriminative_score((clustered(s), clustered(s + 50)), (clustered(s + 100), clustered(s + 150)))
            for s in range(3)
        ]
    )
    other = discriminative_score((clustered(0), clustered(1)), (normal(2), normal(3)))
    assert same < 0.08
    assert other > 0.25


def test_the_score_counts_what_is_taken_for_real() -> None:
    pair = normal(0), normal(1)
    assert discriminative_score(pair, pair, lambda _f, _t, asked: np.ones(len(asked), bool)) == 0.0
    half = len(windows(pair[1]))
    assert discriminative_score(pair, pair, lambda _f, _t, asked: np.arange(len(asked)) < half) == 0.5


def test_a_copy_is_near_whatever_its_size_and_independent_returns_are_far() -> None:
    source = normal(4, 600)
    assert nearest_distances(3 * source[100:200], source).max() < 1e-5
    # Two independent windows of 64 at unit volatility are sqrt(128) apart, the nearest of hundreds somewhat less.
    assert 7 < nearest_distances(normal(5, 300), source).min() < np.sqrt(128)


def test_generated_returns_of_the_index_are_plausible_and_no_copies() -> None:
    bars = load_bars("SP500", DataConfig())
    returns = bars.log_returns[1:]
    learned, later = returns[:3_000], returns[3_000:]
    market, rng = StressedMarket(bars), np.random.default_rng(0)
    made = [market.draw(StressConfig(), rng, count + 1).log_returns[1:] for count in (3_000, len(later)) * 4]
    scores = [discriminative_score((learned, later), (made[i], made[i + 1])) for i in range(0, 8, 2)]
    assert np.mean(scores) < 0.08  # the sign does not count; `benchmarks/perception/stress.py` has more draws
    assert discriminative_score((learned, later), (normal(0), normal(1))) > 0.2
    source = StressedMarket(bars[:3_001]).draw(StressConfig(), rng, len(later) + 1).log_returns[1:]
    assert np.median(nearest_distances(source, learned)) > 0.99 * np.median(nearest_distances(later, learned))


def test_windows_without_moves_or_bars_are_refused() -> None:
    with pytest.raises(DataError, match=r"windows of 64 bars need .* had 63"):
        windows(np.ones(63))
    with pytest.raises(DataError, match="2 window\\(s\\) hold no move"):
        window_features(np.zeros((2, 64)))
