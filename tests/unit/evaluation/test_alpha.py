"""Alpha against ordinary least squares, the sandwich estimator, and the truth of what was made."""

import numpy as np
import pytest

from src.evaluation.alpha import alpha_of


def test_alpha_exposure_and_the_error_of_alpha_are_those_of_the_regression() -> None:
    rng = np.random.default_rng(0)
    market = 0.001 + 0.01 * rng.standard_t(5, 400)
    returns = 0.0005 + 0.6 * market + 0.02 * np.abs(market) * rng.normal(size=400)  # errors differ in size
    design = np.column_stack([np.ones(400), market])
    (intercept, slope), *_ = np.linalg.lstsq(design, returns, rcond=None)
    errors = returns - design @ [intercept, slope]
    bread = np.linalg.inv(design.T @ design)
    sandwich = bread @ (design.T * errors**2) @ design @ bread  # White (1980)
    found = alpha_of(returns, market)
    assert found.exposure == pytest.approx(slope)
    assert found.returns.mean() == pytest.approx(intercept)
    assert found.returns.var() / 400 == pytest.approx(sandwich[0, 0])


@pytest.mark.parametrize("exposure", [-1.0, 0.0, 0.5, 3.0])
def test_a_constant_share_of_the_market_has_no_alpha(exposure: float) -> None:
    market = 0.001 + 0.01 * np.random.default_rng(1).normal(size=300)
    found = alpha_of(exposure * market, market)
    assert found.exposure == pytest.approx(exposure)
    np.testing.assert_allclose(found.returns, 0.0, atol=1e-16)


def test_beside_a_market_that_stands_still_everything_is_alpha() -> None:
    returns = np.random.default_rng(2).normal(size=50)
    found = alpha_of(returns, np.zeros(50))
    assert found.exposure == 0.0
    np.testing.assert_array_equal(found.returns, returns)
