"""The test of profit drift: against its definition, Siegmund's formula against simulation, false alarms and delay."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.stages.self_modification import ProfitDriftConfig
from src.errors import DataError
from src.evaluation.profit_drift import ProfitDrift, Reference, average_run_length, reference_of, threshold_for
from src.market.synthetic.known_markets import generate

CONFIG = ProfitDriftConfig()
EXACT = replace(CONFIG, reference_errors=0.0)
STANDARD = Reference(mean=0.0, deviation=1.0, bars=10**9)


def alarms(reference: Reference, config: ProfitDriftConfig, profits: np.ndarray) -> int:
    """Count alarms over (T,) profits, the test beginning anew after each."""
    test, count = ProfitDrift(reference, config), 0
    while len(profits):
        late = np.flatnonzero(test.update(profits) >= 1)
        if not late.size:
            break
        test.reset()
        count, profits = count + 1, profits[late[0] + 1 :]
    return count


def simulated_run_lengths(threshold: float, allowance: float, mean: float, paths: int, seed: int) -> np.ndarray:
    """Run the recursion of Page bar by bar until every path has alarmed."""
    rng, sums, lengths = np.random.default_rng(seed), np.zeros(paths), np.zeros(paths)
    running = np.ones(paths, dtype=bool)
    while running.any():
        lengths += running
        sums = np.maximum(0.0, sums - rng.normal(mean, 1.0, paths) - allowance)
        running &= sums < threshold
    return lengths


def test_statistic_is_the_recursion_of_page_in_stretches_of_any_length() -> None:
    profits = np.random.default_rng(0).normal(0.4, 2.0, 500)
    test = ProfitDrift(Reference(0.5, 2.0, 400), CONFIG)
    expected, total = [], 0.0
    for profit in profits:
        # The mean is lowered by two standard errors of 2 / 20; half of the shift of 0.1 is allowed.
        total = max(0.0, total - (profit - (0.5 - 2 * 2.0 / 20)) / 2.0 - 0.05)
        expected.append(total / test.threshold)
    found = np.concatenate([test.update(part) for part in np.split(profits, [1, 1, 7, 300])])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert test.level == pytest.approx(max(expected))
    test.reset()
    assert (test.level, test.update(np.array([1e6]))[0]) == (0.0, 0.0)


@pytest.mark.parametrize("mean", [0.0, -0.5, -1.0])  # unchanged, fallen as expected, and by twice as much
def test_siegmunds_formula_gives_the_simulated_run_length(mean: float) -> None:
    threshold = threshold_for(800.0, shift_deviations=0.5)
    lengths = simulated_run_lengths(threshold, 0.25, mean, paths=1500, seed=1)
    error = lengths.std() / np.sqrt(len(lengths))
    assert average_run_length(threshold, 0.5, -mean) == pytest.approx(lengths.mean(), abs=3 * error + 2.0)
    assert mean < 0 or lengths.mean() == pytest.approx(800.0, rel=0.08)


def test_run_length_is_continuous_where_the_drift_vanishes() -> None:
    at, beside = (average_run_length(10.0, 0.5, fall) for fall in (0.25, 0.25 + 1e-5))
    assert at == pytest.approx((10 + 1.166) ** 2)
    assert beside == pytest.approx(at, rel=1e-3)
    assert average_run_length(1e4, 1.0, 0.0) == float("inf")


def test_false_alarms_come_as_seldom_as_asked_for() -> None:
    rng = np.random.default_rng(2)
    count = sum(alarms(STANDARD, EXACT, rng.normal(size=400_000)) for _ in range(15))
    # Thirty are expected in 6 million bars at one in 200,000; a Poisson count scatters by sqrt(30).
    assert abs(count - 30) < 3.5 * np.sqrt(30)


@pytest.mark.parametrize("kind", ["correlated", "storms", "reverting"])
def test_at_most_one_false_alarm_in_50_000_bars_of_profits_as_markets_make_them(kind: str) -> None:
    # Each with a reference of its own, measured on 4,000 bars and so wrong by chance.
    rng, count = np.random.default_rng(3), 0
    for _ in range(10):
        if kind == "correlated":  # r[t] = .3 r[t-1] + e[t]
            noise = rng.standard_t(5, 54_000)
            profits = np.convolve(noise, 0.3 ** np.arange(40))[:54_000] + 0.1
        elif kind == "storms":  # volatility that clusters
            profits = generate("C", 54_000, rng).log_returns[:54_000] + 0.0005
        else:  # the naive rule on A, which holds positions and so has profits that depend on one another
            bars = generate("A", 54_001, rng)
            profits = -np.sign(np.log(bars.close / 100))[:-1] * bars.log_returns[1:]
        count += alarms(reference_of(profits[:4_000]), CONFIG, profits[4_000:])
    assert count <= 10  # in ten times 50,000 bars


def test_a_fall_is_found_after_the_delay_the_formula_promises() -> None:
    rng, delays = np.random.default_rng(4), []
    threshold = threshold_for(EXACT.bars_between_false_alarms, EXACT.shift_deviations)
    for _ in range(200):
        test = ProfitDrift(STANDARD, EXACT)
        test.update(rng.normal(0.0, 1.0, 500))
        delays.append(int(np.argmax(test.update(rng.normal(-0.2, 1.0, 4_000)) >= 1)) + 1)
    # The sum does not begin at 0 when the fall comes, so it gets there somewhat sooner.
    promised = average_run_length(threshold, EXACT.shift_deviations, fall=0.2)
    assert 300 < promised < 600
    assert 0.75 * promised < np.mean(delays) < 1.02 * promised
    assert max(delays) < 2_000


def test_a_rise_is_no_drift() -> None:
    assert alarms(STANDARD, CONFIG, np.random.default_rng(5).normal(0.2, 1.0, 200_000)) == 0


def test_reference_counts_dependence_as_noise() -> None:
    noise = np.random.default_rng(6).normal(size=200_000)
    dependent = np.convolve(noise, 0.5 ** np.arange(40))[: len(noise)]
    # The long-run standard deviation of an AR(1) with rho = .5 and unit innovations is 1 / (1 - rho) = 2.
    assert reference_of(dependent).deviation == pytest.approx(2.0, rel=0.02)
    assert reference_of(noise).deviation == pytest.approx(1.0, rel=0.01)
    assert reference_of(noise + 3.0).mean == pytest.approx(3.0, abs=0.01)


def test_state_continues_where_it_was_left() -> None:
    profits = np.random.default_rng(7).normal(-0.1, 1.0, 300)
    whole, first, second = (ProfitDrift(STANDARD, CONFIG) for _ in range(3))
    first.update(profits[:170])
    second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(np.ravel(whole.update(profits))[-1], second.update(profits[170:])[-1])
    assert second.level == whole.level


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DataError, match="at least 100 bars, had 99"):
        reference_of(np.arange(99.0))
    with pytest.raises(DataError, match="finite returns that vary"):
        reference_of(np.ones(200))
    with pytest.raises(DataError, match="not finite"):
        ProfitDrift(STANDARD, CONFIG).update(np.array([0.0, np.nan]))
    with pytest.raises(DataError, match="bars_between_false_alarms=100 is too few for shift_deviations=8"):
        threshold_for(100.0, 8.0)
