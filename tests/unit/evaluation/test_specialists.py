"""Who does what in a mixture, on markets made by hand."""

import numpy as np
import pytest

from src.evaluation.specialists import specialists


def test_each_expert_is_described_by_the_bars_after_its_decisions() -> None:
    returns = np.array([0.0, 1.0, 1.0, 1.0, -3.0, 3.0, -3.0])  # calm and rising, then wild and turning back
    weights = np.zeros((6, 2))
    weights[:3, 0], weights[3:, 1] = 1.0, 1.0
    calm, wild = specialists(weights, returns)
    spread = np.sqrt((3 * 1 + 3 * 9) / 6)
    assert calm == pytest.approx((0.5, 0.5, 1 / spread, 1 / spread, 1.0))  # 0·1 + 1·1 + 1·1 over 0 + 1 + 1
    assert wild == pytest.approx((0.5, 0.5, -1 / spread, 3 / spread, -21 / 19))  # -3 - 9 - 9 over 1 + 9 + 9


def test_shared_bars_count_by_weight() -> None:
    returns, weights = np.array([0.0, 2.0, -1.0]), np.array([[0.75, 0.25], [0.25, 0.75]])
    first, second = specialists(weights, returns)
    assert first.load == second.load == 0.5
    assert first.leads == second.leads == 0.5
    assert first.drift == pytest.approx((0.75 * 2 - 0.25) / np.sqrt(2.5))


def test_an_idle_expert_and_a_market_that_stands_still_have_nothing_to_tell() -> None:
    idle = specialists(np.array([[1.0, 0.0]] * 3), np.array([0.1, 0.2, 0.1, 0.3]))[1]
    assert idle == (0.0, 0.0, 0.0, 0.0, 0.0)
    still = specialists(np.array([[1.0]] * 3), np.zeros(4))[0]
    assert still == (1.0, 1.0, 0.0, 0.0, 0.0)
