"""Differences between runs over the same bars: exact where they must be, and surer than two intervals apart."""

import numpy as np
import pytest

from src.errors import DataError
from src.evaluation.bootstrap import SHORTEST_SERIES, bootstrap_interval
from src.evaluation.comparison import best_of_many, differences_from_first

YEAR = 252.0


def returns(seed: int, bars: int = 600) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, bars)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_run_does_not_differ_from_itself() -> None:
    (same,) = differences_from_first([returns(1), returns(1)], YEAR, rng())
    for interval in (same.mean_return, same.sharpe):
        assert (interval.estimate, interval.low, interval.high) == (0.0, 0.0, 0.0)
        assert not interval.excludes(0.0)


def test_a_constant_more_is_that_constant_in_every_resample() -> None:
    # Hidden in noise a hundred times its size, and found: the noise is common.
    (more,) = differences_from_first([returns(1), returns(1) + 1e-4], YEAR, rng())
    assert [more.mean_return.low, more.mean_return.estimate, more.mean_return.high] == pytest.approx([1e-4 * YEAR] * 3)
    assert more.mean_return.excludes(0.0)
    # Same deviation, so the Sharpe ratios differ by the constant over it.
    assert more.sharpe.estimate == pytest.approx(1e-4 / returns(1).std(ddof=1) * YEAR**0.5)
    assert more.sharpe.excludes(0.0)


def test_runs_that_share_nothing_are_not_told_apart() -> None:
    (other,) = differences_from_first([returns(1), returns(2)], YEAR, rng())
    assert not other.mean_return.excludes(0.0)
    assert not other.sharpe.excludes(0.0)
    # Independent returns: the standard error of the difference of two means.
    error = float(np.sqrt(returns(1).var() + returns(2).var()) / np.sqrt(600)) * YEAR
    assert (other.mean_return.high - other.mean_return.low) / (2 * 1.96 * error) == pytest.approx(1.0, abs=0.1)


def test_pairing_narrows_what_is_common() -> None:
    first, second = returns(1), returns(1) + 0.1 * returns(2)
    (paired,) = differences_from_first([first, second], YEAR, rng())
    alone = bootstrap_interval((second,), lambda sample: sample.mean(axis=-1) * YEAR, rng())
    assert paired.mean_return.high - paired.mean_return.low < 0.2 * (alone.high - alone.low)


def test_each_run_is_compared_with_the_first_alone() -> None:
    found = differences_from_first([returns(1), returns(2), returns(1) + 1e-3], YEAR, rng())
    means = [float(run.mean()) for run in (returns(1), returns(2))]
    assert [one.mean_return.estimate for one in found] == pytest.approx([(means[1] - means[0]) * YEAR, 1e-3 * YEAR])


def test_an_account_that_never_traded_has_a_sharpe_ratio_of_zero_here() -> None:
    (idle,) = differences_from_first([returns(1), np.zeros(600)], YEAR, rng())
    assert idle.sharpe.estimate == pytest.approx(-returns(1).mean() / returns(1).std(ddof=1) * YEAR**0.5)


def test_the_seed_decides_the_intervals() -> None:
    runs = [returns(1), returns(2)]
    assert differences_from_first(runs, YEAR, rng()) == differences_from_first(runs, YEAR, rng())


def test_too_few_bars_and_unequal_runs_are_refused() -> None:
    with pytest.raises(DataError, match=f"at least {SHORTEST_SERIES} bars, was 19"):
        differences_from_first([returns(1, 19), returns(2, 19)], YEAR, rng())
    with pytest.raises(DataError, match="one length"):
        differences_from_first([returns(1, 30), returns(2, 31)], YEAR, rng())


def test_the_best_of_two_was_not_chosen_among_many() -> None:
    assert best_of_many([returns(1), returns(2)], rng()) is None


def test_the_best_of_many_worthless_runs_is_told_from_one_that_is_truly_better() -> None:
    first, tried = returns(1), [returns(seed) for seed in range(2, 22)]
    worthless = best_of_many([first, *tried], rng())
    assert worthless is not None
    best = max(tried, key=lambda run: float(run.mean()))
    (alone,) = differences_from_first([first, best], YEAR, rng(), level=0.9)
    assert alone.mean_return.excludes(0.0)  # as a pair it looks better
    assert worthless.luck > 0.1
    better = best_of_many([first, *tried, returns(30) + 0.003], rng())
    assert better is not None
    assert better.luck < 0.01
    assert better.overfitting is not None
    assert worthless.overfitting is not None
    assert better.overfitting < 0.05 < worthless.overfitting


def test_the_best_is_measured_by_the_first_and_not_by_staying_out() -> None:
    everywhere = 0.003  # what all of them earn, the first included
    found = best_of_many([returns(seed) + everywhere for seed in range(1, 22)], rng())
    assert found is not None
    assert found.luck > 0.1


def test_a_short_record_is_not_cut_into_halves() -> None:
    found = best_of_many([returns(seed, 100) for seed in range(3)], rng())
    assert found is not None
    assert found.overfitting is None
