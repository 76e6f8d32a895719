"""Fitness: the formula by hand, and what each penalty is for."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.stages.autonomous import FitnessConfig, Measure
from src.errors import DataError
from src.evaluation.fitness import Judged, fitness
from src.evaluation.returns import performance
from tests.support.simulated_records import simulate

FREE = FitnessConfig(spread=0, overfitting=0, drawdown=0, turnover=0, complexity=0)


@pytest.fixture(scope="module")
def judged() -> Judged:
    account = simulate(np.array([1.0, 0.0, -1.0, 1.0, 1.0]), np.array([100.0, 101.0, 99.0, 102.0, 100.0]))
    return Judged(performance(account.records, account.closes, 252.0, 1_000.0), reward=2e-4)


def with_sharpe(judged: Judged, sharpe: float | None, drawdown: float = 0.1) -> Judged:
    return replace(judged, performance=replace(judged.performance, sharpe=sharpe, max_drawdown=drawdown))


def test_the_formula_by_hand(judged: Judged) -> None:
    folds = [with_sharpe(judged, 1.0, 0.1), with_sharpe(judged, 3.0, 0.2)]
    training = with_sharpe(judged, 5.0)
    config = FitnessConfig(spread=0.5, overfitting=0.1, drawdown=2.0, turnover=0, complexity=0.3)
    found = fitness(config, folds, training, weights=1_000_000)
    # Mean 2, deviation 1; three ahead in training; worst drawdown .2; two tenfolds of weights.
    assert found.total == pytest.approx(2.0 - 0.5 - 0.3 - 0.4 - 0.6)
    assert found.to_plain()["total"] == pytest.approx(0.2)


def test_rewards_count_in_bps(judged: Judged) -> None:
    found = fitness(replace(FREE, measure=Measure.reward), [judged], judged, 1)
    assert found.total == pytest.approx(2.0)


def test_who_never_trades_earns_nothing(judged: Judged) -> None:
    assert fitness(FREE, [with_sharpe(judged, None)], judged, 1).total == 0.0


@pytest.mark.parametrize("name", ["spread", "overfitting", "drawdown", "turnover", "complexity"])
def test_each_penalty_lowers_fitness(judged: Judged, name: str) -> None:
    folds, training = [with_sharpe(judged, 1.0), with_sharpe(judged, 2.0)], with_sharpe(judged, 9.0)
    free = fitness(FREE, folds, training, 50_000).total
    assert fitness(replace(FREE, **{name: 1.0}), folds, training, 50_000).total < free


def test_training_behind_the_folds_is_no_merit(judged: Judged) -> None:
    folds, training = [with_sharpe(judged, 2.0)], with_sharpe(judged, 1.0)
    assert fitness(replace(FREE, overfitting=1.0), folds, training, 1).total == 2.0


def test_no_fold_is_refused(judged: Judged) -> None:
    with pytest.raises(DataError, match="at least one fold"):
        fitness(FREE, [], judged, 1)


def test_numbers_are_plain(judged: Judged) -> None:
    assert all(isinstance(value, float) for value in fitness(FREE, [judged], judged, 1).to_plain().values())
    assert np.isfinite(list(fitness(FREE, [judged], judged, 1).to_plain().values())).all()
