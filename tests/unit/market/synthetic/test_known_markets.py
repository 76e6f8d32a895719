"""Generated markets follow their law, and their oracles earn what theory says and look at nothing ahead.

Figures in basis points per bar are the optima stated for these markets by earlier, independent work.
"""

import itertools
import math
from functools import cache

import numpy as np
import pytest

from src.errors import ConfigError, DataError
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.bayes_filters import known_regime_gain, momentum_log_odds, up_log_odds
from src.market.synthetic.known_markets import (
    START_PRICE,
    SYNTHETIC_MARKETS,
    AutocorrelatedMarket,
    RevertingMarket,
    RunawayMarket,
    SwitchingMarket,
    bars_of_log_prices,
    generate,
    hidden_regimes,
    market_costs,
    score,
    synthetic_market,
)
from src.market.synthetic.optimal_policy import POSITIONS, optimal_gain, optimal_targets, relative_value_iteration
from src.seeding import generator

BARS = 200_000
BLOCK = 2_000  # far longer than the memory of any market, so block means are nearly independent
OPTIMUM_BP = {"A": 16.33, "A4": 9.04, "B": 5.05, "B2": 4.31, "C": 0.0}
SIMULATED_F_BP, SIMULATION_ERROR = 24.4, 0.25  # the one optimum that was stated from a simulation, of 200,000 bars
NAIVE_BP = {"A": 15.55, "A4": -10.44, "B": 4.56, "B2": 2.10, "C": -9.1, "F": 20.8}


@cache
def path(name: str) -> BarSeries:
    return generate(name, BARS, generator(7, name))


@cache
def oracle_targets(name: str) -> FloatArray:
    return optimal_targets(name, path(name))


def naive_targets(name: str) -> FloatArray:
    market, bars = SYNTHETIC_MARKETS[name], path(name)
    if name == "C":
        return generator(7, "dice").choice(POSITIONS, BARS)
    if isinstance(market, SwitchingMarket):
        return np.sign(up_log_odds(market, bars))  # myopic: the sign of the expected return
    if isinstance(market, AutocorrelatedMarket):
        return np.sign(rolling_autocovariance(bars.log_returns) * bars.log_returns)
    return -np.sign(np.log(bars.close / START_PRICE))


def rolling_autocovariance(r: FloatArray, window: int = 60) -> FloatArray:
    sums = np.cumsum(r * np.concatenate([[0.0], r[:-1]]))
    return sums - np.concatenate([np.zeros(window), sums[:-window]])


def mean_and_error_bp(targets: FloatArray, name: str) -> tuple[float, float]:
    """Mean reward per bar and its standard error from the spread of block means."""
    bars, cost = path(name), SYNTHETIC_MARKETS[name].cost_frac
    blocks = [
        score(targets[start : start + BLOCK], bars.close[start : start + BLOCK], cost, warmup=1)
        for start in range(0, BARS, BLOCK)
    ]
    return score(targets, bars.close, cost) * 1e4, float(np.std(blocks)) / math.sqrt(len(blocks)) * 1e4


@pytest.mark.parametrize(("name", "expected"), OPTIMUM_BP.items())
def test_value_iteration_finds_the_stated_optimum(name: str, expected: float) -> None:
    assert optimal_gain(name) * 1e4 == pytest.approx(expected, abs=0.02)


def test_the_filtered_optimum_agrees_with_simulation() -> None:
    assert optimal_gain("F") * 1e4 == pytest.approx(SIMULATED_F_BP, abs=SIMULATION_ERROR)


def test_who_knows_the_next_regime_earns_the_mean_expected_move() -> None:
    # r is normal with variance .01² / (1 - .35²), so E|.35 r| = .35 * .010675 * .79788 = 29.81 bp.
    market, bars = SYNTHETIC_MARKETS["F"], path("F")
    assert isinstance(market, AutocorrelatedMarket)
    assert known_regime_gain(market) * 1e4 == pytest.approx(29.81, abs=0.01)
    regimes = hidden_regimes("F", BARS, generator(7, "F"))
    targets = np.append(regimes[1:], 0.0) * np.sign(bars.log_returns)
    assert score(targets, bars.close, 0.0) * 1e4 == pytest.approx(29.81, abs=4 * 107 / math.sqrt(BARS))


@pytest.mark.parametrize("name", SYNTHETIC_MARKETS)
def test_the_oracle_earns_its_optimum_on_a_long_path(name: str) -> None:
    earned, error = mean_and_error_bp(oracle_targets(name), name)
    assert error < 0.4
    assert earned == pytest.approx(optimal_gain(name) * 1e4, abs=4 * error + 1e-9)


@pytest.mark.parametrize(("name", "expected"), NAIVE_BP.items())
def test_the_naive_rule_earns_what_was_stated_and_less_than_the_oracle(name: str, expected: float) -> None:
    earned, error = mean_and_error_bp(naive_targets(name), name)
    assert earned == pytest.approx(expected, abs=4 * error)
    assert earned < mean_and_error_bp(oracle_targets(name), name)[0]


def test_value_iteration_agrees_with_trying_every_policy() -> None:
    # Two signals: one says up, one says down; nine cells of (signal, held) make 3**6 stationary policies.
    transitions, edge, cost = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([-0.01, 0.012]), 0.006
    gain, policy = relative_value_iteration(transitions, edge, cost)
    best = max(
        _stationary_gain(transitions, edge, cost, np.array(cells).reshape(2, 3))
        for cells in itertools.product(range(3), repeat=6)
    )
    assert gain == pytest.approx(best, abs=1e-9)
    assert _stationary_gain(transitions, edge, cost, policy) == pytest.approx(best, abs=1e-9)


def _stationary_gain(transitions: FloatArray, edge: FloatArray, cost: float, policy: np.ndarray) -> float:
    # Long-run mean from (signal 0, flat): the limit of the chain over (signal, held), averaged over two phases.
    chain, reward = np.zeros((6, 6)), np.zeros(6)
    for signal, held in itertools.product(range(2), range(3)):
        moved = policy[signal, held]
        reward[signal * 3 + held] = POSITIONS[moved] * edge[signal] - cost * abs(POSITIONS[moved] - POSITIONS[held])
        chain[signal * 3 + held, [moved, 3 + moved]] += transitions[signal]
    settled = np.linalg.matrix_power(chain, 2**12)
    return float(((settled + settled @ chain) / 2 @ reward)[1])


@pytest.mark.parametrize("name", SYNTHETIC_MARKETS)
def test_a_seed_reproduces_its_path_and_another_does_not(name: str) -> None:
    first, again, other = (generate(name, 300, generator(seed)) for seed in (1, 1, 2))
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize("name", SYNTHETIC_MARKETS)
def test_bars_open_at_the_prior_close_and_span_open_and_close(name: str) -> None:
    bars = generate(name, 300, generator(1))
    assert bars.open[0] == START_PRICE
    np.testing.assert_array_equal(bars.open[1:], bars.close[:-1])
    np.testing.assert_array_equal(bars.high, np.maximum(bars.open, bars.close))
    np.testing.assert_array_equal(bars.low, np.minimum(bars.open, bars.close))
    assert np.ptp(bars.volume) == 0
    assert set(np.diff(bars.open_time)) == {3_600_000}


def test_the_reverting_price_has_its_persistence_and_volatility() -> None:
    x = np.log(path("A").close / START_PRICE)
    shocks = x[1:] - 0.9 * x[:-1]
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(0.9, abs=4 * math.sqrt((1 - 0.81) / BARS))
    assert shocks.std() == pytest.approx(0.01, rel=4 / math.sqrt(2 * BARS))
    assert np.corrcoef(shocks[1:], shocks[:-1])[0, 1] == pytest.approx(0, abs=4 / math.sqrt(BARS))


def test_the_switching_drift_persists_as_defined() -> None:
    # Covariance of returns at lag k is drift² * (2 * stay - 1)^k; lags 1 to 50 are summed to rise above the noise.
    r = path("B").log_returns[1:]
    lags = np.arange(1, 51)
    measured = sum(float(np.mean(r[k:] * r[:-k])) for k in lags)
    expected = 0.0015**2 * (0.96**lags).sum()
    assert measured == pytest.approx(expected, abs=4 * 0.01**2 * math.sqrt(len(lags) / BARS) * 1.5)
    assert r.var() == pytest.approx(0.01**2 + 0.0015**2, rel=0.02)


def test_hidden_regimes_are_those_the_path_was_drawn_under() -> None:
    r, regimes = path("F").log_returns, hidden_regimes("F", BARS, generator(7, "F"))
    for sign in (1.0, -1.0):
        rows = np.flatnonzero(regimes[1:] == sign) + 1
        shocks = r[rows] - sign * 0.35 * r[rows - 1]
        assert np.corrcoef(shocks, r[rows - 1])[0, 1] == pytest.approx(0, abs=4 / math.sqrt(len(rows)))
        assert shocks.std() == pytest.approx(0.01, rel=4 / math.sqrt(2 * len(rows)))
    switches = np.mean(regimes[1:] != regimes[:-1])
    assert switches == pytest.approx(1 / 150, abs=4 * math.sqrt(1 / 150 / BARS))
    drifts, b_returns = hidden_regimes("B", BARS, generator(7, "B")), path("B").log_returns
    for sign in (1.0, -1.0):
        assert b_returns[drifts == sign].mean() == pytest.approx(sign * 0.0015, abs=4 * 0.01 / math.sqrt(BARS / 2))


def test_only_markets_with_hidden_regimes_tell_them() -> None:
    with pytest.raises(ConfigError, match="synthetic market 'A' has no hidden regimes"):
        hidden_regimes("A", 10, generator(1))


def test_the_martingale_has_clustered_heavy_tailed_returns_of_the_stated_size() -> None:
    r = path("C").log_returns[1:]
    squares = r**2
    assert r.mean() == pytest.approx(0, abs=4 * 0.01 / math.sqrt(BARS))
    assert math.sqrt(squares.mean()) == pytest.approx(0.01, rel=0.05)
    assert np.corrcoef(squares[1:], squares[:-1])[0, 1] > 0.05
    assert np.mean(squares**2) / squares.mean() ** 2 > 5


def test_the_belief_filter_is_bayes_rule() -> None:
    # By enumeration: the sum over all state paths of four bars, even start, switching with probability 0.1.
    market = SwitchingMarket(drift=0.01, stay=0.9, volatility=0.01, cost_frac=0.0)
    bars = generate("B", 4, generator(3))
    returns = np.log(bars.close / bars.open)
    weight = {True: 0.0, False: 0.0}
    for states in itertools.product([True, False], repeat=4):
        stays = [a == b for a, b in itertools.pairwise(states)]
        likelihood = math.prod(
            math.exp(-0.5 * ((r - (0.01 if up else -0.01)) / 0.01) ** 2) for r, up in zip(returns, states, strict=True)
        )
        weight[states[-1]] += likelihood * math.prod(0.9 if same else 0.1 for same in stays)
    assert up_log_odds(market, bars)[-1] == pytest.approx(math.log(weight[True] / weight[False]), abs=1e-12)


def test_the_momentum_filter_is_bayes_rule() -> None:
    # By enumeration over all state paths of five bars, as above; each return is normal around ±.35 of the one before.
    market, bars = SYNTHETIC_MARKETS["F"], generate("F", 5, generator(3))
    assert isinstance(market, AutocorrelatedMarket)
    returns = np.log(bars.close / bars.open)
    weight = {1: 0.0, -1: 0.0}
    for states in itertools.product([1, -1], repeat=5):
        likelihood = math.prod(
            math.exp(-0.5 * ((r - sign * 0.35 * last) / 0.01) ** 2)
            for sign, r, last in zip(states[1:], returns[1:], returns[:-1], strict=True)
        )
        stays = math.prod(149 / 150 if a == b else 1 / 150 for a, b in itertools.pairwise(states))
        weight[states[-1]] += likelihood * stays
    assert momentum_log_odds(market, bars)[-1] == pytest.approx(math.log(weight[1] / weight[-1]), abs=1e-9)


@pytest.mark.parametrize("name", ["A", "A4", "B", "B2", "F"])
def test_the_oracle_sees_no_future(name: str) -> None:
    bars, other = generate(name, 600, generator(1)), generate(name, 600, generator(2))
    close = np.concatenate([bars.close[:400], other.close[400:]])
    opened = np.concatenate([bars.open[:1], close[:-1]])
    changed = BarSeries(
        name, "1h", bars.open_time, opened, np.maximum(opened, close), np.minimum(opened, close), close, bars.volume
    )
    targets, changed_targets = optimal_targets(name, bars), optimal_targets(name, changed)
    np.testing.assert_array_equal(changed_targets[:400], targets[:400])
    assert (changed_targets[400:] != targets[400:]).any()


def test_the_belief_filter_sees_no_future() -> None:
    market, bars = SYNTHETIC_MARKETS["B"], generate("B", 500, generator(1))
    assert isinstance(market, SwitchingMarket)
    np.testing.assert_array_equal(up_log_odds(market, bars[:321]), up_log_odds(market, bars)[:321])


def test_a_mirrored_market_gets_mirrored_targets() -> None:
    for name in ("A4", "B2", "F"):
        bars = generate(name, 2_000, generator(5))
        np.testing.assert_array_equal(optimal_targets(name, bars.mirrored()), -optimal_targets(name, bars))


def test_score_adds_up_by_hand() -> None:
    # Long for one bar (+10 %), then short for one (-20 %: wins .2), each change charged; the last target is unpaid.
    closes = np.exp(np.array([0.0, 0.1, -0.1, 0.3]))
    targets = np.array([1.0, -1.0, 0.0, 1.0])
    rewards = [0.1 - 0.01 * 1, 0.2 - 0.01 * 2, 0.0 - 0.01 * 1]
    assert score(targets, closes, 0.01) == pytest.approx(np.mean(rewards))
    assert score(targets, closes, 0.01, warmup=1) == pytest.approx(np.mean(rewards[1:]))


def test_score_refuses_what_it_cannot_score() -> None:
    closes = np.array([1.0, 1.1, 1.2])
    with pytest.raises(DataError, match="as many targets as closes"):
        score(np.zeros(2), closes, 0.0)
    with pytest.raises(DataError, match=r"more than warmup \+ 1 = 3 bars, got 3"):
        score(np.zeros(3), closes, 0.0, warmup=2)


def test_the_whole_cost_of_a_market_is_commission() -> None:
    assert [market_costs(name).commission_bps for name in SYNTHETIC_MARKETS] == pytest.approx([10, 100, 5, 20, 10, 0])
    costs = market_costs("A")
    assert costs.half_spread_bps == costs.slippage_bps == costs.borrow_bps_per_year == costs.financing_bps_per_year == 0


def test_an_unknown_market_is_refused() -> None:
    with pytest.raises(ConfigError, match="synthetic market 'A44' is unknown; did you mean 'A4'"):
        synthetic_market("A44")


REVERTING = RevertingMarket(persistence=0.90, volatility=0.01, cost_frac=0.0100)
RUNAWAY = RunawayMarket(persistence=0.90, volatility=0.01, cost_frac=0.0100)


def test_a_runaway_price_is_expected_to_do_the_opposite_of_a_reverting_one() -> None:
    # Drawn from equal shocks, u of one is x of the other, and the two returns average to the shock.
    shocks = np.random.default_rng(3).normal(0.0, 0.01, 5_000)
    x, price = (market.log_prices(5_000, np.random.default_rng(3)) for market in (REVERTING, RUNAWAY))
    returns = np.diff(price, prepend=0.0)
    np.testing.assert_allclose(RUNAWAY.distance(returns), x, atol=1e-12)
    np.testing.assert_allclose((returns + np.diff(x, prepend=0.0)) / 2, shocks, atol=1e-12)


def test_the_stretch_of_a_runaway_price_is_its_lead_over_an_exponential_average() -> None:
    price = RUNAWAY.log_prices(500, np.random.default_rng(4))
    average, leads = 0.0, []
    for value in price.tolist():
        average += 0.2 * (value - average)
        leads.append((value - average) / 0.8)
    np.testing.assert_allclose(RUNAWAY.distance(np.diff(price, prepend=0.0)), leads, atol=1e-12)


def test_the_best_policy_of_a_runaway_price_is_the_opposite_and_earns_as_much() -> None:
    bars = bars_of_log_prices("RUNAWAY", "1h", RUNAWAY.log_prices(BARS, generator(7, "runaway")))
    targets = optimal_targets(RUNAWAY, bars)
    stretched = bars_of_log_prices(
        "STRETCH", "1h", RUNAWAY.distance(np.diff(np.log(bars.close / START_PRICE), prepend=0.0))
    )
    np.testing.assert_array_equal(targets, -optimal_targets(REVERTING, stretched))
    assert optimal_gain(RUNAWAY) == pytest.approx(optimal_gain("A4"), abs=1e-8)
    earned = [
        score(targets[part], bars.close[part], 0.01)
        for part in map(slice, range(0, BARS, BLOCK), range(BLOCK, BARS + 1, BLOCK))
    ]
    error = float(np.std(earned)) / math.sqrt(len(earned))
    assert np.mean(earned) == pytest.approx(optimal_gain(RUNAWAY), abs=4 * error)


@pytest.mark.parametrize(
    ("persistence", "volatility", "cost_frac", "expected"), [(0.85, 0.7, 2, 1.62), (0.95, 1.5, 1, 12.88)]
)
def test_a_market_that_has_no_name_has_an_optimum_too(
    persistence: float, volatility: float, cost_frac: float, expected: float
) -> None:
    # Expected: gain of the best symmetric level to change sides at, from the stationary law of (price, side held).
    market = RevertingMarket(persistence, 0.01 * volatility, 0.01 * cost_frac)
    assert optimal_gain(market) * 1e4 == pytest.approx(expected, abs=0.03)
    bars = bars_of_log_prices("X", "1h", market.log_prices(BARS, generator(7, "unnamed")))
    earned = score(optimal_targets(market, bars), bars.close, market.cost_frac)
    assert earned == pytest.approx(optimal_gain(market), abs=4 * 2e-2 * volatility / math.sqrt(BARS))
