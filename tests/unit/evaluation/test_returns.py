"""Metrics against numbers worked out by hand, against NumPy and SciPy, and a golden table."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from src.errors import DataError
from src.evaluation import returns
from src.evaluation.returns import performance, return_metrics
from src.evaluation.trades import extract_trades
from src.trading.records import CALL_FIELDS, StepRecord
from tests.support.simulated_records import moving_average_targets, random_walk, simulate


def records(
    units: list[float],
    price: list[float],
    equity: list[float] | None = None,
    commission: list[float] | None = None,
    financing: list[float] | None = None,
) -> StepRecord:
    """Build records by hand; fills follow from the units, equity defaults to 1,000 throughout."""
    count = len(units)
    zeros = np.zeros(count)
    fill = np.diff(np.array(units), prepend=0.0)
    return StepRecord(
        close_time=np.arange(count, dtype=np.int64),
        target=zeros,
        units=np.array(units),
        fill_units=fill,
        fill_price=np.where(fill != 0, price, 0.0),
        commission=zeros if commission is None else np.array(commission),
        spread=zeros,
        slippage=zeros,
        financing=zeros if financing is None else np.array(financing),
        equity=np.full(count, 1_000.0) if equity is None else np.array(equity),
        reward=zeros,
        terminated=np.zeros(count, dtype=bool),
        **dict.fromkeys(CALL_FIELDS, zeros),
    )


def test_simple_returns_start_from_the_initial_equity() -> None:
    np.testing.assert_allclose(returns.simple_returns(np.array([110.0, 99.0]), 100.0), [0.1, -0.1])


def test_returns_are_zero_once_equity_is_gone() -> None:
    np.testing.assert_allclose(returns.simple_returns(np.array([50.0, -10.0, -10.0, 5.0]), 100.0), [-0.5, -1.2, 0, 0])


def test_cagr_of_a_doubling_in_two_years_is_root_two() -> None:
    assert returns.cagr(2.0, 2.0) == pytest.approx(2**0.5 - 1)


@pytest.mark.parametrize(
    ("growth", "years", "expected"),
    [
        (1.1, 0.5, 0.21),  # 1.1² - 1
        (0.9, 0.25, -0.3439),  # .9⁴ - 1
        (1.01, 1.0 / 12.0, 0.126825030131969720661201),  # 1.01¹² - 1
        (1.1, 1.0, 0.1),
    ],
)
def test_cagr_of_less_than_a_year_is_compounded_up_to_one(growth: float, years: float, expected: float) -> None:
    assert returns.cagr(growth, years) == pytest.approx(expected, rel=1e-12)


def test_cagr_is_undefined_below_a_month_and_minus_one_after_ruin() -> None:
    assert returns.cagr(1.1, 0.08) is None
    assert returns.cagr(-0.2, 1.0) == -1.0


def test_sharpe_and_volatility_agree_with_numpy() -> None:
    sample = np.array([0.01, -0.02, 0.03, 0.0])  # mean .005; deviations .005 -.025 .025 -.005: variance .0013 / 3
    assert returns.annual_volatility(sample, 4.0) == pytest.approx(2 * (0.0013 / 3) ** 0.5)
    assert returns.sharpe(sample, 4.0) == pytest.approx(2 * 0.005 / (0.0013 / 3) ** 0.5)
    assert returns.sharpe(sample, 4.0) == pytest.approx(2 * np.mean(sample) / stats.tstd(sample))


@pytest.mark.parametrize("flat", [np.zeros(10), np.full(10, 0.1), np.array([0.3])])
def test_sharpe_without_variance_is_undefined(flat: np.ndarray) -> None:
    assert returns.sharpe(flat, 252.0) is None


def test_sortino_divides_by_the_root_mean_square_of_losses_over_all_bars() -> None:
    sample = np.array([0.03, -0.01, 0.02, -0.02])  # mean .005, mean of squared losses (.0001 + .0004) / 4
    assert returns.sortino(sample, 1.0) == pytest.approx(0.005 / (0.0005 / 4) ** 0.5)
    assert returns.sortino(np.array([0.01, 0.0]), 1.0) is None


@pytest.mark.parametrize(
    ("equity", "depth", "bars"),
    [
        ([100, 120, 90, 110, 125], 0.25, 3),  # peak at 120, back above it three bars later
        ([100, 120, 90, 110], 0.25, 2),  # never recovered: to the end
        ([80, 90], 0.2, 2),  # the initial equity is a peak too
        ([120, 110, 120, 60, 120], 0.5, 2),  # from the later of two equal peaks
        ([101, 102], 0.0, 0),
    ],
)
def test_max_drawdown_and_its_length(equity: list[float], depth: float, bars: int) -> None:
    found = returns.max_drawdown(np.array(equity, dtype=float), 100.0)
    assert found == (pytest.approx(depth), bars)


def test_calmar_is_growth_over_drawdown() -> None:
    metrics = return_metrics(np.array([120.0, 90.0, 121.0, 121.0]), 2.0, 100.0)  # two years, from 100 to 121
    assert metrics.cagr == pytest.approx(0.1)
    assert metrics.calmar == pytest.approx(0.1 / 0.25)


def test_turnover_and_exposure_by_hand() -> None:
    step = records([0, 5, 5, -5], [100, 100, 110, 120], equity=[1_000, 1_000, 1_050, 1_100])
    closes = np.array([100.0, 100.0, 110.0, 120.0])
    # fills: 5 at 100 on equity 1,000; 10 at 120 on equity 1,050
    assert returns.turnover(step, 1_000.0) == pytest.approx((0.5 + 1_200 / 1_050) / 4)
    assert returns.exposure(step, closes) == pytest.approx((0.5 + 550 / 1_050 + 600 / 1_100) / 4)


def test_round_trip_with_an_increase_and_a_partial_reduction() -> None:
    step = records([10, 20, 5, 0], [100, 110, 130, 90], commission=[1, 2, 3, 4], financing=[0.5, 0.5, 0.5, 0])
    trades = extract_trades(step, np.array([100.0, 120.0, 130.0, 95.0]))
    # bought 10 at 100 and 10 at 110, sold 15 at 130 and 5 at 90
    assert (trades.entry_row.tolist(), trades.exit_row.tolist(), trades.side.tolist()) == ([0], [3], [1])
    assert trades.units.tolist() == [20]
    assert trades.entry_price.tolist() == [105]
    assert trades.exit_price.tolist() == [120]
    assert trades.profit.tolist() == [15 * 130 + 5 * 90 - 1_000 - 1_100 - 10 - 1.5]
    assert trades.is_closed.tolist() == [True]


def test_a_flip_closes_one_trade_and_opens_the_next() -> None:
    step = records([10, -5, -5, 0], [100, 120, 0, 110], commission=[0, 3, 0, 0], financing=[0, 0, 7, 0])
    trades = extract_trades(step, np.array([100.0, 120.0, 115.0, 110.0]))
    # 15 units sold at 120 for a commission of 3: 10 of them (2.0) close the long, 5 (1.0) open the short
    assert trades.side.tolist() == [1, -1]
    assert trades.entry_row.tolist() == [0, 1]
    assert trades.exit_row.tolist() == [1, 3]
    np.testing.assert_allclose(trades.profit, [10 * 20 - 2.0, 5 * 10 - 1.0 - 7.0])


def test_an_open_trade_is_marked_at_the_last_close_and_counts() -> None:
    step = records([10, 0, 4], [100, 90, 80])
    trades = extract_trades(step, np.array([100.0, 90.0, 85.0]))
    assert trades.is_closed.tolist() == [True, False]
    np.testing.assert_allclose(trades.profit, [-100, 20])
    assert trades.exit_price.tolist() == [90, 85]
    assert returns.hit_rate(trades) == 0.5
    assert returns.profit_factor(trades) == pytest.approx(0.2)  # 20 won, 100 lost


@pytest.mark.parametrize(("close", "rate", "factor"), [(80.0, 0.0, 0.0), (120.0, 1.0, None)])
def test_a_single_trade_that_is_never_closed_is_won_or_lost_as_it_stands(
    close: float, rate: float, factor: float | None
) -> None:
    trades = extract_trades(records([5, 5], [100, 0]), np.array([100.0, close]))
    assert (returns.hit_rate(trades), returns.profit_factor(trades)) == (rate, factor)


def test_hit_rate_and_profit_factor_by_hand() -> None:
    step = records([1, 0, 1, 0, 1, 0], [100, 130, 100, 90, 100, 95])  # +30, -10, -5
    trades = extract_trades(step, np.full(6, 100.0))
    assert returns.hit_rate(trades) == pytest.approx(1 / 3)
    assert returns.profit_factor(trades) == pytest.approx(2.0)


def test_a_trade_that_earns_nothing_is_no_win_and_no_loss() -> None:
    step = records([1, 0, 1, 0, 1, 0, 1, 0], [100, 130, 100, 100, 100, 95, 100, 100])  # +30, 0, -5, 0
    trades = extract_trades(step, np.full(8, 100.0))
    assert trades.profit.tolist() == [30, 0, -5, 0]
    assert returns.hit_rate(trades) == 0.25
    assert returns.profit_factor(trades) == 6.0


def test_break_even_fee_charged_on_the_same_fills_leaves_nothing() -> None:
    closes = random_walk(300, seed=3)
    free = simulate(moving_average_targets(closes, 10), closes).records
    fee_bps = performance(free, closes, 252.0, 1_000.0).break_even_fee_bps
    assert fee_bps is not None
    charge = returns.traded_notional(free) * fee_bps / 1e4
    charged = free._replace(commission=charge, equity=free.equity - np.cumsum(charge))
    result = performance(charged, closes, 252.0, 1_000.0)
    assert result.profit == pytest.approx(0.0, abs=1e-9)
    assert result.cost_bps == pytest.approx(fee_bps)
    assert result.break_even_fee_bps == pytest.approx(fee_bps)


def test_no_trade_leaves_what_needs_one_undefined() -> None:
    result = performance(records([0, 0, 0], [0, 0, 0]), np.array([100.0, 90.0, 120.0]), 3.0, 1_000.0)
    assert (result.total_return, result.cagr, result.annual_volatility, result.max_drawdown) == (0.0, 0.0, 0.0, 0.0)
    assert (result.sharpe, result.sortino, result.calmar, result.hit_rate, result.profit_factor) == (None,) * 5
    assert (result.cost_bps, result.break_even_fee_bps, result.trades, result.has_open_trade) == (None, None, 0, False)
    assert result.buy_and_hold.total_return == pytest.approx(0.2)
    assert not result.beats_buy_and_hold


def test_fully_invested_account_equals_buy_and_hold() -> None:
    closes = random_walk(100, seed=1)
    held = simulate(np.ones(100), closes)  # opens at the prior close, so it owns the market from the first close on
    result = performance(held.records, closes, 252.0, 1_000.0)
    assert dataclasses.asdict(result.buy_and_hold) == pytest.approx(
        {name: getattr(result, name) for name in dataclasses.asdict(result.buy_and_hold)}
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_trades_add_up_to_the_profit_of_the_account(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.repeat(rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], 40), rng.integers(1, 4))
    closes = random_walk(len(targets), seed)
    account = simulate(targets, closes, 1_000.0, 1e-3, 2e-4, 3e-4, 1e-5)
    trades = extract_trades(account.records, closes)
    assert trades.profit.sum() == pytest.approx(account.records.equity[-1] - 1_000.0, abs=1e-7)
    assert trades.is_closed[:-1].all()
    assert (trades.exit_row >= trades.entry_row).all()
    assert (trades.side[1:] * trades.side[:-1] == -1).all() or (trades.entry_row[1:] >= trades.exit_row[:-1]).all()


def test_positions_that_are_not_the_sum_of_fills_are_refused() -> None:
    step = records([5, 5], [100, 0])._replace(fill_units=np.zeros(2))
    with pytest.raises(DataError, match="position 5 at row 0 is not the sum of fills 0"):
        performance(step, np.full(2, 100.0), 252.0, 1_000.0)


def test_bad_input_is_refused_by_name() -> None:
    step = records([0, 0], [0, 0])
    with pytest.raises(DataError, match="'closes' holds a value that is not finite"):
        performance(step, np.array([1.0, np.nan]), 252.0, 1_000.0)
    with pytest.raises(DataError, match="'close_time' has shape"):
        performance(step, np.ones(3), 252.0, 1_000.0)
    with pytest.raises(DataError, match="bars_per_year must be a positive number, was 0"):
        performance(step, np.ones(2), 0.0, 1_000.0)


def test_input_is_not_modified() -> None:
    closes = random_walk(50, seed=2)
    account = simulate(moving_average_targets(closes, 5), closes)
    before = [np.array(column) for column in account.records]
    performance(account.records, closes, 252.0, 1_000.0)
    assert all(np.array_equal(old, new) for old, new in zip(before, account.records, strict=True))


def test_metrics_are_flat_finite_numbers_and_plain_data_is_json() -> None:
    closes = random_walk(60, seed=4)
    account = simulate(moving_average_targets(closes, 5), closes, commission=1e-4)
    result = performance(account.records, closes, 252.0, 1_000.0)
    flat = result.metrics()
    assert flat["buy_and_hold/total_return"] == result.buy_and_hold.total_return
    assert all(isinstance(value, float) and np.isfinite(value) for value in flat.values())
    assert json.loads(json.dumps(result.to_plain(), allow_nan=False))["costs"]["commission"] == result.costs.commission


GOLDEN = {
    "bars": 500,
    "years": 500 / 252,
    "initial_equity": 10_000,
    "final_equity": 11949.604492717324,
    "profit": 1949.6044927173243,
    "total_return": 0.1949604492717325,
    "cagr": 0.09392155464151974,
    "annual_volatility": 0.13949697957494805,
    "sharpe": 0.7132454810429188,
    "sortino": 1.0355757289067966,
    "calmar": 0.3813205550863692,
    "max_drawdown": 0.24630603671560924,
    "max_drawdown_bars": 244,
    "turnover_per_bar": 0.19293314911574924,
    "turnover_per_year": 48.61915357716881,
    "exposure": 0.8992117802554485,
    "in_market_frac": 0.96,
    "trades": 48,
    "has_open_trade": 1,
    "hit_rate": 14 / 49,
    "profit_factor": 1.4050971378576844,
    "costs/commission": 218.37212136621883,
    "costs/spread": 109.18631811664002,
    "costs/slippage": 109.18631811664002,
    "costs/financing": 51.43797032642398,
    "cost_frac": 0.04881827279259228,
    "cost_bps": 4.471108535940086,
    "break_even_fee_bps": 22.326908814106172,
    "bars_per_year": 252,
    "buy_and_hold/bars": 500,
    "buy_and_hold/years": 500 / 252,
    "buy_and_hold/total_return": -0.473580347414131,
    "buy_and_hold/cagr": -0.27631199306929854,
    "buy_and_hold/annual_volatility": 0.14869546368000572,
    "buy_and_hold/sharpe": -2.0991934775961183,
    "buy_and_hold/sortino": -2.689961382003864,
    "buy_and_hold/calmar": -0.5815250166767617,
    "buy_and_hold/max_drawdown": 0.4751506558537024,
    "buy_and_hold/max_drawdown_bars": 498,
}


def test_golden_table_of_a_moving_average_on_a_seeded_walk() -> None:
    closes = random_walk(500, seed=7)
    account = simulate(moving_average_targets(closes, 20), closes, 10_000.0, 2e-4, 1e-4, 1e-4, 1e-5)
    result = performance(account.records, closes, 252.0, 10_000.0)
    assert result.metrics() == pytest.approx(GOLDEN, rel=1e-9)
