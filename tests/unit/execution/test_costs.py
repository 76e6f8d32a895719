"""What fills cost: fractions known before the bar opens, worked out by hand, and charged by the simulated broker."""

import numpy as np
import pytest

from src.config.trading import CostsConfig
from src.errors import DataError
from src.execution.costs import (
    MAX_IMPACT_FRAC,
    TRAILING_BARS,
    impact_per_root_notional,
    slippage_frac,
    trailing_mean,
    trailing_volatility,
)
from src.execution.orders import Orders
from src.execution.simulated import SimulatedBroker
from src.execution.tape import build_tape
from src.market.bars import YEAR_MS, BarSeries
from tests.support.random_bars import NASTY_MARKETS, random_bars
from tests.support.trading_cases import DAY_MS, DEAR, FREE, daily, flat_candles


def test_trailing_mean_sees_only_rows_before() -> None:
    assert trailing_mean(np.array([1.0, 3.0, 8.0, 100.0]), bars=2).tolist() == [0.0, 1.0, 2.0, 5.5]


def test_trailing_mean_does_not_depend_on_where_the_series_began() -> None:
    values = np.random.default_rng(0).lognormal(size=300)

    assert np.array_equal(trailing_mean(values)[200:], trailing_mean(values[100:])[100:])


def test_trailing_volatility_is_the_root_mean_square_of_past_log_returns() -> None:
    bars = random_bars(100, seed=1)
    row = 90

    expected = np.sqrt(np.mean(np.diff(np.log(bars.close))[row - 1 - TRAILING_BARS : row - 1] ** 2))

    assert trailing_volatility(bars)[row] == pytest.approx(expected, rel=1e-12)


def test_slippage_is_a_fixed_part_and_a_share_of_volatility() -> None:
    bars = random_bars(80, seed=2)

    assert np.array_equal(slippage_frac(bars, 3.0, 0.0), np.full(80, 3.0 * 1e-4))
    assert slippage_frac(bars, 3.0, 0.5) == pytest.approx(0.0003 + 0.5 * trailing_volatility(bars), rel=1e-12)


def test_impact_follows_the_square_root_law() -> None:
    # 1 % a bar up and down; each bar trades about 1e6 in quote currency.
    close = np.where(np.arange(70) % 2 == 0, 100.0, 100.0 * np.exp(0.01))
    bars = BarSeries("X", "1d", np.arange(70) * DAY_MS, close, close, close, close, 1e6 / close)
    row = 69  # the 64 bars before hold 64 moves of 1 %

    per_root = impact_per_root_notional(bars, coefficient=0.8)[row]

    # A tenth of a bar's volume moves the price by 0.8 * 1 % * sqrt(0.1).
    assert per_root * np.sqrt(1e5) == pytest.approx(0.8 * 0.01 * np.sqrt(0.1), rel=1e-12)


def test_impact_needs_volume() -> None:
    silent = NASTY_MARKETS["no volume"](100)

    assert not impact_per_root_notional(silent, 0.0).any()
    with pytest.raises(DataError, match=r"row 1 traded none; set costs\.impact to 0"):
        impact_per_root_notional(silent, 1.0)


@pytest.mark.parametrize("row", [1, 20, 64, 65, 150])
def test_costs_of_a_fill_do_not_depend_on_its_bar_or_later_ones(row: int) -> None:
    bars, other = random_bars(200, seed=3), random_bars(200, seed=4)
    columns = ("open", "high", "low", "close", "volume")
    spliced = [np.concatenate([getattr(bars, c)[:row], getattr(other, c)[row:]]) for c in columns]
    changed = BarSeries("TEST", "1h", bars.open_time, *spliced)

    before, after = build_tape(bars, DEAR), build_tape(changed, DEAR)

    for name in ("half_spread", "slippage", "impact"):
        assert np.array_equal(getattr(before, name)[: row + 1], getattr(after, name)[: row + 1])
    assert before.slippage[row + 1] != after.slippage[row + 1]


def test_the_tape_measures_time_from_close_to_close() -> None:
    tape = build_tape(daily(flat_candles(1.0, 2.0, 2.0), days=[3, 4, 7]), FREE)

    assert tape.years * YEAR_MS == pytest.approx(np.array([1, 1, 3]) * DAY_MS, rel=1e-12)
    assert tape.log_return == pytest.approx([0.0, np.log(2.0), 0.0], rel=1e-12)


def test_midnight_belongs_to_the_day_that_ends() -> None:
    hours = np.arange(22, 50)
    price = np.ones(len(hours))
    tape = build_tape(BarSeries("X", "1h", hours * 3_600_000, price, price, price, price, price), FREE)

    # The bar that opens at 23:00 closes at 24:00 and is the last of its day.
    assert hours[np.flatnonzero(tape.new_day)].tolist() == [22, 24, 48]


def test_tapes_are_float64_and_cut_by_rows() -> None:
    bars = random_bars(50, seed=5)
    tape = build_tape(bars, DEAR)

    assert {column.dtype for column in tape} == {np.dtype(np.float64)}
    assert np.array_equal(tape.at(np.array([[3], [7]])).close, bars.close[[[3], [7]]])
    assert np.array_equal(tape.at(slice(10, 20)).low, bars.low[10:20])
    assert tape.bar(4) == tuple(float(column[4]) for column in tape)
    assert {type(value) for value in tape.bar(4)} == {float}


def test_a_buyer_pays_more_and_a_seller_gets_less() -> None:
    costs = CostsConfig(commission_bps=100.0, half_spread_bps=200.0, slippage_bps=300.0)
    bar = build_tape(daily(flat_candles(40.0)), costs)
    units = np.array([10.0, -10.0, 0.0])

    fills = SimulatedBroker(costs, np).fill(Orders(units, units), 40.0, bar)

    assert fills.price == pytest.approx([42.0, 38.0, 0.0], rel=1e-12)
    assert fills.paid == pytest.approx([420.0, -380.0, 0.0], rel=1e-12)
    assert fills.spread == pytest.approx([8.0, 8.0, 0.0], rel=1e-12)
    assert fills.slippage == pytest.approx([12.0, 12.0, 0.0], rel=1e-12)
    assert fills.commission == pytest.approx([4.2, 3.8, 0.0], rel=1e-12)


def test_impact_adds_to_slippage_and_has_an_end() -> None:
    costs = CostsConfig(0.0, 0.0, slippage_bps=100.0, impact=1.0)
    bar = build_tape(daily(flat_candles(100.0)), costs)._replace(impact=np.array([1e-3]))
    units = np.array([1.0, 4.0, -4.0, 1e9])

    fills = SimulatedBroker(costs, np).fill(Orders(units, units), 100.0, bar)

    # Notionals 100, 400, 400: fractions 0.01 + 0.001 * 10 and 0.01 + 0.001 * 20.
    assert fills.slippage[:3] == pytest.approx([100 * 0.02, 400 * 0.03, 400 * 0.03], rel=1e-12)
    assert fills.price[3] == pytest.approx(100.0 * (1.01 + MAX_IMPACT_FRAC), rel=1e-12)
