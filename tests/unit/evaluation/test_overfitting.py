"""The cross-validation of a choice against plain enumeration, under the null and with power."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from src.errors import DataError
from src.evaluation.overfitting import backtest_overfitting


def test_overfitting_of_worthless_strategies_is_a_coin_flip() -> None:
    rng = np.random.default_rng(5)
    draws = [backtest_overfitting(rng.normal(size=(160, 50)), blocks=8).probability for _ in range(150)]
    assert np.mean(draws) == pytest.approx(0.5, abs=0.045)  # three standard errors of .18 / √150


def test_overfitting_vanishes_where_one_strategy_is_truly_better() -> None:
    returns = np.random.default_rng(6).normal(size=(800, 20))
    returns[:, 3] += 0.3
    found = backtest_overfitting(returns, blocks=8)
    assert found.probability == 0.0
    assert found.loss_probability == 0.0
    assert found.logits.min() > 0


def test_overfitting_agrees_with_a_plain_enumeration() -> None:
    returns = np.random.default_rng(7).normal(0.01, 1.0, size=(61, 5))
    stretches = np.array_split(returns[1:], 6)  # one bar too many: the first is left out
    logits, lost = [], 0
    for half in combinations(range(6), 3):
        inside = np.concatenate([stretches[block] for block in half])
        outside = np.concatenate([stretches[block] for block in range(6) if block not in half])
        best = np.argmax(inside.mean(axis=0) / inside.std(axis=0))
        lost += outside[:, best].mean() < 0
        rank = stats.rankdata(outside.mean(axis=0) / outside.std(axis=0))[best] / 6
        logits.append(np.log(rank / (1 - rank)))
    found = backtest_overfitting(returns, blocks=6)
    np.testing.assert_allclose(found.logits, logits)
    assert found.probability == np.mean(np.array(logits) < 0) + 0.5 * np.mean(np.array(logits) == 0)
    assert found.loss_probability == lost / len(logits)


def test_equal_and_idle_strategies_count_as_undecided() -> None:
    same = np.repeat(np.random.default_rng(8).normal(size=(40, 1)), 4, axis=1)
    assert backtest_overfitting(same, blocks=4).probability == 0.5
    idle = backtest_overfitting(np.zeros((40, 3)), blocks=4)
    assert (idle.probability, idle.loss_probability) == (0.5, 0.5)


def test_equally_good_strategies_rank_by_chance_but_do_not_lose() -> None:
    rng = np.random.default_rng(9)
    draws = [backtest_overfitting(rng.normal(0.25, 1.0, size=(800, 20)), blocks=8) for _ in range(40)]
    assert np.mean([found.probability for found in draws]) == pytest.approx(0.5, abs=0.1)
    assert max(found.loss_probability for found in draws) == 0.0


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="had 2 strategies over 40 bars in 3 blocks"):
        backtest_overfitting(np.zeros((40, 2)), blocks=3)
    with pytest.raises(DataError, match="finite returns"):
        backtest_overfitting(np.full((40, 2), np.nan), blocks=4)
