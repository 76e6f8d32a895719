"""Fitness: the formula by hand, and what each penalty is for."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.stages.autonomous import FitnessConfig, Measure
from src.errors import DataError
from src.evaluation.fitness import FoldResult, fitness
from src.evaluation.returns import performance
from tests.support.simulated_records import simulate

FREE = FitnessConfig(spread=0, overfitting=0, drawdown=0, turnover=0, complexity=0)


@pytest.fixture(scope="module")
def fold() -> FoldResult:
    account = simulate(np.array([1.0, 0.0, -1.0, 1.0, 1.0]), np.array([100.0, 101.0, 99.0, 102.0, 100.0]))
    return FoldResult(performance(account.records, account.closes, 252.0, 1_000.0), reward=2e-4)


def with_sharpe(fold: FoldResult, sharpe: float | None, drawdown: float = 0.1) -> FoldResult:
    return replace(fold, performance=replace(fold.performance, sharpe=sharpe, max_drawdown=drawdown))


def test_the_formula_by_hand(fold: FoldResult) -> None:
    folds = [with_sharpe(fold, 1.0, 0.1), with_sharpe(fold, 3.0, 0.2)]
    training = with_sharpe(fold, 5.0)
    config = FitnessConfig(spread=0.5, overfitting=0.1, drawdown=2.0, turnover=0, complexity=0.3)
    found = fitness(config, folds, training, weights=1_000_000)
    # Mean 2, deviation 1; three ahead in training; worst drawdown .2; two tenfolds of weights.
    assert found.total == pytest.approx(2.0 - 0.5 - 0.3 - 0.4 - 0.6)
    assert found.to_plain()["total"] == pytest.approx(0.2)


def test_rewards_count_in_bps(fold: FoldResult) -> None:
    found = fitness(replace(FREE, measure=Measure.reward), [fold], fold, 1)
    assert found.total == pytest.approx(2.0)


def test_who_never_trades_earns_nothing(fold: FoldResult) -> None:
    assert fitness(FREE, [with_sharpe(fold, None)], fold, 1).total == 0.0


@pytest.mark.parametrize("name", ["spread", "overfitting", "drawdown", "turnover", "complexity"])
def test_each_penalty_lowers_fitness(fold: FoldResult, name: str) -> None:
    folds, training = [with_sharpe(fold, 1.0), with_sharpe(fold, 2.0)], with_sharpe(fold, 9.0)
    free = fitness(FREE, folds, training, 50_000).total
    assert fitness(replace(FREE, **{name: 1.0}), folds, training, 50_000).total < free


def test_training_behind_the_folds_is_no_merit(fold: FoldResult) -> None:
    folds, training = [with_sharpe(fold, 2.0)], with_sharpe(fold, 1.0)
    assert fitness(replace(FREE, overfitting=1.0), folds, training, 1).total == 2.0


def test_no_fold_is_refused(fold: FoldResult) -> None:
    with pytest.raises(DataError, match="at least one fold"):
        fitness(FREE, [], fold, 1)


def test_numbers_are_plain(fold: FoldResult) -> None:
    assert all(isinstance(value, float) for value in fitness(FREE, [fold], fold, 1).to_plain().values())
    assert np.isfinite(list(fitness(FREE, [fold], fold, 1).to_plain().values())).all()
