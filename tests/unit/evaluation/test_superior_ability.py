"""The reality check against `arch`, under the null and with power."""

import numpy as np
import pytest
from arch.bootstrap import SPA

from src.errors import DataError
from src.evaluation.superior_ability import superior_ability


def test_reality_check_agrees_with_arch_and_so_does_the_other_where_all_are_equally_volatile() -> None:
    rng, levels = np.random.default_rng(0), []
    for edge in (0.0, 0.08, 0.12, 0.15):
        returns = rng.normal(size=(500, 12)) + np.linspace(-0.2, edge, 12)
        benchmark = rng.normal(size=500) * 0.1
        ours = superior_ability(returns, benchmark, np.random.default_rng(1), draws=4_000, block_bars=5.0)
        theirs = SPA(benchmark * -1.0, -returns, block_size=5, reps=2_000, seed=2)  # arch takes losses
        theirs.compute()
        assert ours.reality_check == pytest.approx(theirs.pvalues["upper"], abs=0.025)  # 2.5 Monte Carlo deviations
        assert ours.consistent == pytest.approx(theirs.pvalues["consistent"], abs=0.06)
        levels.append(ours.reality_check)
    assert max(levels) > 0.2
    assert min(levels) < 0.1


def test_best_of_worthless_strategies_passes_as_often_as_the_level_says() -> None:
    rng, passed = np.random.default_rng(3), 0
    for _ in range(300):
        returns = rng.normal(size=(200, 20))
        found = superior_ability(returns, np.zeros(200), rng, draws=300, block_bars=1.0)
        passed += found.reality_check < 0.1
    assert passed / 300 == pytest.approx(0.1, abs=0.055)  # three binomial standard deviations


def test_bad_strategies_dilute_the_reality_check_and_not_the_consistent_test() -> None:
    rng = np.random.default_rng(4)
    good = rng.normal(0.12, 1.0, size=(400, 1))
    losers = rng.normal(-0.5, 1.0, size=(400, 50))
    alone = superior_ability(good, np.zeros(400), np.random.default_rng(5), block_bars=1.0)
    among = superior_ability(np.hstack([good, losers]), np.zeros(400), np.random.default_rng(5), block_bars=1.0)
    assert among.consistent == pytest.approx(alone.consistent, abs=0.01)
    assert among.reality_check > 5 * among.consistent


def test_volatility_is_scaled_away_by_the_consistent_test() -> None:
    rng = np.random.default_rng(6)
    steady = rng.normal(0.15, 1.0, size=(400, 1))
    wild = rng.normal(0.0, 30.0, size=(400, 1))
    found = superior_ability(np.hstack([steady, wild]), np.zeros(400), rng, block_bars=1.0)
    assert found.consistent < 0.02
    assert found.reality_check > 0.1  # unscaled, the wild one's luck hides a z of 3


def test_strategies_equal_to_the_benchmark_are_not_better() -> None:
    benchmark = np.random.default_rng(7).normal(size=100)
    found = superior_ability(np.tile(benchmark[:, None], 3), benchmark, np.random.default_rng(0))
    assert (found.consistent, found.reality_check) == (1.0, 1.0)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="had 5 bars"):
        superior_ability(np.zeros((5, 2)), np.zeros(5), np.random.default_rng(0))
    with pytest.raises(DataError, match="finite"):
        superior_ability(np.full((50, 2), np.nan), np.zeros(50), np.random.default_rng(0))
