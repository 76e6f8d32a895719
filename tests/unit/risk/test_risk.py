"""Guard and sizing: by default nothing changes; each rule by hand."""

import numpy as np
import pytest

from src.config.trading import RiskConfig
from src.execution.ledger import Accounts, open_accounts
from src.market.bars import BarSeries
from src.risk.guard import FOR_GOOD, FREE, UNTIL_NEXT_DAY, clip_exposure, guard, watch
from src.risk.sizing import order_units
from tests.support.trading_cases import daily, flat_candles, play_one, rules_of


def accounts_with(**columns: float) -> Accounts:
    fresh = open_accounts(np, (1,), 1000.0, 100.0)
    return fresh._replace(**{name: np.array([value]) for name, value in columns.items()})


def test_by_default_targets_and_accounts_pass_untouched() -> None:
    target = np.array([0.1 + 0.2, -1.0, -0.0])
    accounts = open_accounts(np, (3,), 1000.0, 100.0)._replace(equity=np.array([1.0, 500.0, 1000.0]))

    assert guard(np, RiskConfig(), accounts, target) is target
    assert watch(np, RiskConfig(), accounts.equity, accounts, 1.0) is accounts


def test_exposure_is_capped_on_both_sides() -> None:
    assert clip_exposure(np, np.array([-2.0, -0.3, 0.0, 0.7, 0.71]), 0.7).tolist() == [-0.7, -0.3, 0.0, 0.7, 0.7]


def test_a_capped_target_is_what_is_ordered_and_recorded() -> None:
    rules = rules_of(risk=RiskConfig(max_exposure=0.25))

    outcomes, states, _ = play_one(rules, daily(flat_candles(100.0, 100.0)), [1.0])

    assert outcomes[0].fill_units == 2.5
    assert states[0].target == 0.25


def test_the_drawdown_breaker_closes_the_position_for_good() -> None:
    prices = daily(flat_candles(100.0, 100.0, 91.0, 90.0, 90.0, 500.0, 1000.0))

    outcomes, states, _ = play_one(rules_of(risk=RiskConfig(max_drawdown_frac=0.1)), prices, [1.0] * 6)

    # Equity 1000, 910, 900: ten per cent is reached at the third close and sold at the open after it.
    assert [outcome.fill_units for outcome in outcomes] == [10.0, 0.0, 0.0, -10.0, 0.0, 0.0]
    assert [state.halt for state in states] == [FREE, FREE, FOR_GOOD, FOR_GOOD, FOR_GOOD, FOR_GOOD]
    assert states[-1].equity == 900.0


def test_the_daily_loss_limit_keeps_flat_until_the_day_is_over() -> None:
    # Six-hour bars; the day is lost at its second close.
    price = np.array([100.0, 100.0, 100.0, 94.0, 94.0, 94.0, 94.0, 94.0, 94.0])
    bars = BarSeries("X", "6h", np.arange(3, 12) * 21_600_000, price, price, price, price, price)

    outcomes, states, _ = play_one(rules_of(risk=RiskConfig(max_daily_loss_frac=0.05)), bars, [1.0] * 8)

    # Bars 1 to 4 close at 6:00, 12:00, 18:00 and midnight of one day, bar 5 at 6:00 of the next.
    assert [state.halt for state in states] == [FREE, FREE, *[UNTIL_NEXT_DAY] * 2, *[FREE] * 4]
    assert [outcome.fill_units for outcome in outcomes] == pytest.approx([10.0, 0, 0, -10.0, 0, 10.0, 0, 0])
    assert [state.day_equity for state in states] == [1000.0] * 4 + [940.0] * 4


def test_a_lost_day_is_measured_from_the_close_before_it() -> None:
    # Daily bars: each is a day; 4 % is lost on each of two days, never 5 % on one.
    bars = daily(flat_candles(100.0, 100.0, 96.0, 92.2))

    _, states, _ = play_one(rules_of(risk=RiskConfig(max_daily_loss_frac=0.05)), bars, [1.0] * 3)

    assert [state.halt for state in states] == [FREE] * 3


def test_a_day_lost_in_one_bar_is_sat_out_for_the_next() -> None:
    bars = daily(flat_candles(100.0, 100.0, 94.0, 94.0, 94.0, 94.0))

    outcomes, states, _ = play_one(rules_of(risk=RiskConfig(max_daily_loss_frac=0.05)), bars, [1.0] * 5)

    assert [state.halt for state in states] == [FREE, UNTIL_NEXT_DAY, FREE, FREE, FREE]
    assert [outcome.fill_units for outcome in outcomes] == pytest.approx([10.0, 0.0, -10.0, 10.0, 0.0])


@pytest.mark.parametrize("equity", [1000.0, 400.0], ids=["a good day", "a lost day"])
def test_no_day_lifts_the_drawdown_breaker(equity: float) -> None:
    risk = RiskConfig(max_daily_loss_frac=0.05, max_drawdown_frac=0.9)
    halted = accounts_with(halt=FOR_GOOD, equity=equity)

    for new_day in (0.0, 1.0):
        assert watch(np, risk, np.array([1000.0]), halted, new_day).halt.tolist() == [FOR_GOOD]


@pytest.mark.parametrize(
    ("target", "band", "units"),
    [
        (0.5, None, 0.0),  # unchanged
        (0.5, 0.2, 0.0),  # drifted by 0.1 only
        (0.5, 0.05, 500.0 / 100.0 - 6.0),  # drifted by more
        (1.0, None, 10.0 - 6.0),
        (1.0, 0.2, 10.0 - 6.0),  # a change is ordered whatever the band
        (0.0, None, -6.0),
        (-1.0, None, -16.0),
    ],
)
def test_orders_bring_the_account_to_its_target(target: float, band: float | None, units: float) -> None:
    # 600 of 1000 held with a target of one half.
    accounts = accounts_with(units=6.0, cash=400.0, target=0.5)

    assert order_units(np, accounts, np.array([target]), band) == pytest.approx([units], abs=1e-12)


def test_the_rebalance_band_keeps_exposure_near_its_target() -> None:
    prices = daily(flat_candles(100.0, 100.0, 120.0, 150.0, 150.0))

    held, _, _ = play_one(rules_of(), prices, [0.5] * 4)
    kept, states, _ = play_one(rules_of(rebalance_band=0.05), prices, [0.5] * 4)

    # 5 units; at 120 exposure is 600 / 1100 = .545, at 150 it is 750 / 1250 = .6: 625 / 150 units are wanted.
    assert [outcome.fill_units for outcome in held] == [5.0, 0.0, 0.0, 0.0]
    assert [outcome.fill_units for outcome in kept] == pytest.approx([5.0, 0.0, 0.0, 625.0 / 150.0 - 5.0])
    assert states[-1].target == 0.5
