"""Allocations against optima known by hand, by another library, and by their defining properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.risk.allocation import (
    at_volatility,
    capped_kelly,
    equal_weights,
    inverse_volatility,
    minimum_variance,
    risk_parity,
    shrunk_covariance,
)

SEEDS = st.integers(0, 10_000)


def covariance(seed: int, symbols: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(symbols, symbols + 3)) * rng.uniform(0.2, 3, symbols)[:, None]
    return mixed @ mixed.T * 1e-4


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 80), st.integers(1, 30))
def test_the_covariance_is_that_of_scikit_learn(seed: int, bars: int, symbols: int) -> None:
    from sklearn.covariance import ledoit_wolf

    returns = np.random.default_rng(seed).normal(size=(bars, symbols)) * np.linspace(0.5, 2, symbols)
    if symbols == 1:  # scikit-learn answers the variance there, as anything else would
        assert shrunk_covariance(returns) == pytest.approx(np.var(returns))
    else:
        assert shrunk_covariance(returns) == pytest.approx(ledoit_wolf(returns)[0])


def test_the_covariance_is_definite_with_more_symbols_than_bars() -> None:
    returns = np.random.default_rng(0).normal(size=(5, 40))
    assert np.linalg.eigvalsh(shrunk_covariance(returns)).min() > 0


def test_two_symbols_by_hand() -> None:
    # Variances 1 and 4 without correlation: least variance 4:1, equal risk 2:1.
    plain = np.diag([1.0, 4.0])
    assert equal_weights(4).tolist() == [0.25] * 4
    assert minimum_variance(plain) == pytest.approx([0.8, 0.2])
    assert inverse_volatility(plain) == pytest.approx([2 / 3, 1 / 3])
    assert risk_parity(plain) == pytest.approx([2 / 3, 1 / 3])


def test_what_only_adds_risk_is_not_held() -> None:
    # Correlation .9: hedging would need a short of the wilder one.
    assert minimum_variance(np.array([[1.0, 1.8], [1.8, 4.0]])) == pytest.approx([1.0, 0.0])


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_no_other_long_weights_have_less_variance(seed: int) -> None:
    matrix, rng = covariance(seed), np.random.default_rng(seed + 1)
    best = minimum_variance(matrix)
    others = rng.dirichlet(np.ones(len(best)), 200)
    near = np.abs(best + rng.normal(size=(200, len(best))) * 1e-3)
    for weights in (*others, *(near / near.sum(axis=1, keepdims=True))):
        assert best @ matrix @ best <= weights @ matrix @ weights + 1e-15
    assert best.sum() == pytest.approx(1)
    assert (best >= 0).all()


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_in_risk_parity_each_adds_the_same_risk(seed: int) -> None:
    matrix = covariance(seed)
    weights = risk_parity(matrix)
    parts = weights * (matrix @ weights)
    assert parts == pytest.approx(np.full(len(parts), parts.mean()), rel=1e-6)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_kelly_has_nearly_all_the_growth_there_is_in_normal_returns(seed: int) -> None:
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(4, 8)) * 0.01
    matrix, mean = mixed @ mixed.T, rng.normal(size=4) * 5e-4
    drawn = rng.multivariate_normal(mean, matrix, 20_000)
    drawn += mean - drawn.mean(axis=0)

    def loss(weights: np.ndarray) -> float:
        return -float(np.log1p(np.maximum(drawn @ weights, -0.999)).mean())

    best = -minimize(loss, np.zeros(4)).fun
    weights = capped_kelly(mean, matrix, 1.0, np.inf, np.inf)
    assert -loss(weights) >= 0.95 * best > 0
    assert -loss(weights / 2) == pytest.approx(0.75 * best, rel=0.1)


def test_caps_hold_and_keep_proportions() -> None:
    weights = capped_kelly(np.array([0.02, -0.01, 0.001]), np.eye(3) * 0.01, 1.0, 0.8, 1.2)
    assert weights == pytest.approx(np.array([0.8, -0.8, 0.1]) * 1.2 / 1.7)
    assert not capped_kelly(np.zeros(3), np.eye(3), 1.0, 1.0, 1.0).any()


def test_a_volatility_is_met_unless_gross_exposure_ends_it() -> None:
    matrix, weights = covariance(3), equal_weights(6)
    scaled = at_volatility(weights, matrix, 1e-3, 5.0)
    assert np.sqrt(scaled @ matrix @ scaled) == pytest.approx(1e-3)
    assert np.abs(at_volatility(weights, matrix, 1e9, 2.0)).sum() == pytest.approx(2.0)
    assert not at_volatility(np.zeros(6), matrix, 1e-3, 5.0).any()


@pytest.mark.parametrize(
    "returns", [np.zeros((1, 2)), np.array([[0.1, np.nan], [0.1, 0.2]]), np.zeros((5, 2))], ids=["one", "nan", "still"]
)
def test_returns_that_tell_nothing_are_refused(returns: np.ndarray) -> None:
    with pytest.raises(DataError):
        shrunk_covariance(returns)
