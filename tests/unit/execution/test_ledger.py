"""Candle tables with every fill and every cent by hand, and the identities that hold on any path."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.trading import CostsConfig
from src.execution.ledger import Accounts, book, charge_interest, is_covered, open_accounts
from src.execution.orders import Fills
from src.execution.tape import build_tape
from src.trading.session import Session
from tests.support.random_bars import random_bars
from tests.support.trading_cases import DEAR, FREE, Candle, daily, flat_candles, play, play_one, rules_of, stacked

# 0.1 % commission; spread and slippage together 0.1 % of the open; no interest.
FEES = CostsConfig(
    commission_bps=10.0, half_spread_bps=6.0, slippage_bps=4.0, borrow_bps_per_year=0.0, financing_bps_per_year=0.0
)
GRID = (-1.0, -0.5, 0.0, 0.5, 1.0)


class Case(NamedTuple):
    """Candles from row 0, where 1,000 in cash is marked; what is wanted at each close; what then fills and is owned."""

    name: str
    candles: Sequence[Candle]
    targets: Sequence[float]
    fills: Sequence[tuple[float, float]]  # units, execution price
    owned: Sequence[tuple[float, float, float]]  # cash, units, entry price
    costs: CostsConfig = FEES


CASES = [
    Case(
        "long, held, closed",
        [*flat_candles(100.0), (102.0, 104.0, 99.0, 101.0), (101.0, 106.0, 101.0, 105.0), (104.0, 104.0, 103.0, 103.0)],
        [1.0, 1.0, 0.0],
        # 1000 / 100 units; 102 * 1.001; and out at 104 * 0.999.
        [(10.0, 102.102), (0.0, 0.0), (-10.0, 103.896)],
        # 1000 - 1021.02 - 1.02102, and then + 1038.96 - 1.03896.
        [(-22.04102, 10.0, 102.102), (-22.04102, 10.0, 102.102), (1015.88002, 0.0, 0.0)],
    ),
    Case(
        "short, closed",
        [*flat_candles(50.0), (48.0, 51.0, 47.0, 49.0), (40.0, 41.0, 39.0, 40.0)],
        [-0.5, 0.0],
        # 500 / 50 units; 48 * 0.999; and back at 40 * 1.001.
        [(-10.0, 47.952), (10.0, 40.04)],
        # 1000 + 479.52 - 0.47952, and then - 400.4 - 0.4004.
        [(1479.04048, -10.0, 47.952), (1078.24008, 0.0, 0.0)],
    ),
    Case(
        "long turned short pays once for the whole way",
        flat_candles(100.0, 100.0, 125.0),
        [1.0, -1.0],
        # Cash 1000 - 1001 - 1.001, so equity 997.999 at the second close, and -9.97999 - 10 units to trade.
        [(10.0, 100.1), (-19.97999, 125.0 * 0.999)],
        [(-2.001, 10.0, 100.1), (-2.001 + 19.97999 * 124.875 * 0.999, -9.97999, 124.875)],
    ),
    Case(
        "adding averages the entry, reducing keeps it",
        flat_candles(100.0, 100.0, 200.0, 200.0),
        [0.5, 1.0, 0.5],
        # 5 units at 100; equity 1000 at 100 wants 5 more, bought at 200; equity 1500 at 200 wants 750 / 200 = 3.75.
        [(5.0, 100.0), (5.0, 200.0), (-6.25, 200.0)],
        [(500.0, 5.0, 100.0), (-500.0, 10.0, 150.0), (750.0, 3.75, 150.0)],
        FREE,
    ),
    Case(
        "sizes come from the close at which it was decided, fills from the next open",
        [*flat_candles(100.0), (80.0, 80.0, 80.0, 80.0)],
        [1.0],
        [(10.0, 80.0)],
        [(200.0, 10.0, 80.0)],
        FREE,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fills_and_cash_are_those_worked_out_by_hand(case: Case) -> None:
    outcomes, states, _ = play_one(rules_of(case.costs), daily(case.candles), case.targets)

    for outcome, state, fill, owned in zip(outcomes, states, case.fills, case.owned, strict=True):
        assert (outcome.fill_units, outcome.fill_price) == pytest.approx(fill, rel=1e-12)
        assert (state.cash, state.units, state.entry_price) == pytest.approx(owned, rel=1e-12)


def test_costs_are_reported_by_kind() -> None:
    outcomes, _, _ = play_one(rules_of(FEES), daily(flat_candles(100.0, 110.0)), [1.0])

    # 10 units at 110: 6 and 4 basis points of 1100, and 10 basis points of 1100 * 1.001.
    assert outcomes[0].spread == pytest.approx(0.66, rel=1e-12)
    assert outcomes[0].slippage == pytest.approx(0.44, rel=1e-12)
    assert outcomes[0].commission == pytest.approx(1.1011, rel=1e-12)
    assert outcomes[0].financing == 0.0


@pytest.mark.parametrize(("days", "elapsed"), [((0, 1, 2), 1), ((3, 4, 7), 3)], ids=["next day", "over a weekend"])
def test_a_short_pays_borrow_on_its_value_at_the_prior_close_for_the_time_since(
    days: tuple[int, ...], elapsed: int
) -> None:
    # 3652.5 basis points a year are 10 basis points a day.
    costs = CostsConfig(0.0, 0.0, 0.0, borrow_bps_per_year=3652.5, financing_bps_per_year=0.0)
    candles = [*flat_candles(100.0), (100.0, 110.0, 100.0, 110.0), (90.0, 90.0, 90.0, 90.0)]

    outcomes, states, _ = play_one(rules_of(costs), daily(candles, days), [-1.0, -1.0])

    assert outcomes[0].financing == 0.0  # flat until this bar opened
    assert outcomes[1].financing == pytest.approx(10 * 110.0 * 0.001 * elapsed, rel=1e-12)
    assert states[1].cash == pytest.approx(2000.0 - 1.1 * elapsed, rel=1e-12)


def test_borrowed_cash_pays_financing() -> None:
    costs = CostsConfig(0.0, 0.0, 0.0, borrow_bps_per_year=0.0, financing_bps_per_year=3652.5)
    rules = rules_of(costs, grid=[0.0, 2.0], max_leverage=2.0)

    outcomes, states, _ = play_one(rules, daily(flat_candles(100.0, 100.0, 100.0)), [2.0, 2.0])

    assert outcomes[1].financing == pytest.approx(1000.0 * 0.001, rel=1e-12)
    assert states[1].equity == pytest.approx(999.0, rel=1e-12)


def test_who_lends_is_not_charged() -> None:
    fresh = open_accounts(np, (2,), 1000.0, 100.0)
    accounts = fresh._replace(units=np.array([0.0, 10.0]), cash=np.array([1000.0, 0.0]))

    charged, interest = charge_interest(np, accounts, 0.5, 0.5)

    assert np.array_equal(interest, [0.0, 0.0])
    assert np.array_equal(charged.cash, accounts.cash)


@pytest.mark.parametrize(
    ("held", "traded", "entry_value", "bars"),
    [
        (0.0, 4.0, 4.0 * 20.0, 0.0),  # opened
        (10.0, 4.0, 100.0 + 80.0, 7.0),  # added to
        (10.0, -4.0, 60.0, 7.0),  # reduced
        (10.0, -10.0, 0.0, 0.0),  # closed
        (10.0, -14.0, -4.0 * 20.0, 0.0),  # turned
        (10.0, 0.0, 100.0, 7.0),  # untouched
        (-10.0, -4.0, -100.0 - 80.0, 7.0),
        (-10.0, 4.0, -60.0, 7.0),
        (-10.0, 10.0, 0.0, 0.0),
        (-10.0, 14.0, 4.0 * 20.0, 0.0),
    ],
)
def test_entry_value_follows_average_cost(held: float, traded: float, entry_value: float, bars: float) -> None:
    # Held at an entry price of 10 for seven bars, traded at 20.
    before = open_accounts(np, (1,), 1000.0, 20.0)._replace(
        units=np.array([held]), entry_value=np.array([held * 10.0]), bars_in_trade=np.array([7.0 * (held != 0)])
    )
    units, none = np.array([traded]), np.zeros(1)
    price = np.where(units != 0, 20.0, 0.0)

    after = book(np, before, Fills(units, price, units * price, none, none, none), before.target)

    assert after.entry_value == pytest.approx([entry_value], rel=1e-12)
    assert np.array_equal(after.bars_in_trade, [bars])


def test_entry_price_of_a_flat_account_is_zero() -> None:
    assert np.array_equal(open_accounts(np, (2,), 1000.0, 100.0).entry_price, [0.0, 0.0])


def test_bars_in_trade_count_the_closes_a_trade_has_seen() -> None:
    bars = daily(flat_candles(*[100.0] * 8))

    _, states, _ = play_one(rules_of(), bars, [0.0, 0.5, 1.0, 1.0, -1.0, -1.0, 0.0])

    assert [state.bars_in_trade for state in states] == [0.0, 1.0, 2.0, 3.0, 1.0, 2.0, 0.0]


@pytest.mark.parametrize(
    ("cash", "units", "low", "high", "covered"),
    [
        # A quarter of the notional is asked for; every number is exact.
        (2000.0, -10.0, 90.0, 159.0, True),
        (2000.0, -10.0, 90.0, 160.0, False),  # equity 400 = 1600 / 4
        (-900.0, 20.0, 61.0, 200.0, True),
        (-900.0, 20.0, 60.0, 200.0, False),  # equity 300 = 1200 / 4
        (1.0, 0.0, 1.0, 1e9, True),
        (0.0, 0.0, 1.0, 1e9, False),
        (float("nan"), 1.0, 1.0, 1.0, False),
        (1000.0, float("nan"), 1.0, 1.0, False),
    ],
)
def test_margin_is_judged_at_the_worse_end_of_the_bar(
    cash: float, units: float, low: float, high: float, covered: bool
) -> None:
    accounts = open_accounts(np, (1,), 1000.0, 100.0)._replace(cash=np.array([cash]), units=np.array([units]))

    assert is_covered(np, accounts, low, high, 0.25).tolist() == [covered]


paths = {"seed": st.integers(0, 10_000), "costs": st.sampled_from([FREE, FEES, CostsConfig(), DEAR])}
few = settings(max_examples=20, derandomize=True, deadline=None)


def _random_play(seed: int, costs: CostsConfig, count: int = 60, accounts: int = 3) -> tuple[dict, dict, np.ndarray]:
    bars, rng = random_bars(count, seed), np.random.default_rng(seed)
    targets = rng.choice(GRID, size=(count - 1, accounts))
    targets = np.where(rng.random(targets.shape) < 0.4, targets, 0.5)
    rules = rules_of(costs)
    session, tape = Session(rules), build_tape(bars, costs)
    session.open(open_accounts(np, (accounts,), rules.initial_equity, tape.close[0]))
    outcomes, states = play(session, tape, targets)
    market = {"open": tape.open[1:, None], "close": tape.close[1:, None]}
    return stacked(outcomes), stacked(states) | market, targets


@few
@given(**paths)
def test_equity_is_cash_plus_the_value_of_the_position(seed: int, costs: CostsConfig) -> None:
    outcome, state, _ = _random_play(seed, costs)

    assert np.array_equal(state["equity"], state["cash"] + state["units"] * state["close"])
    assert np.array_equal(outcome["equity"], state["equity"])
    assert np.array_equal(outcome["units"], state["units"])
    assert np.array_equal(state["peak_equity"], np.maximum(np.maximum.accumulate(state["equity"]), 1000.0))


@few
@given(**paths)
def test_cash_missing_is_the_sum_of_costs(seed: int, costs: CostsConfig) -> None:
    outcome, state, _ = _random_play(seed, costs)
    paid = sum(outcome[kind] for kind in ("commission", "spread", "slippage", "financing"))

    expected = 1000.0 - np.cumsum(outcome["fill_units"] * state["open"] + paid, axis=0)

    assert (paid >= 0).all()
    assert np.allclose(state["cash"], expected, rtol=0, atol=1e-9)


@few
@given(**paths)
def test_an_unchanged_target_places_no_order_and_a_changed_one_does(seed: int, costs: CostsConfig) -> None:
    outcome, _, targets = _random_play(seed, costs)
    changed = np.diff(targets, axis=0, prepend=0.0) != 0

    assert np.array_equal(outcome["fill_units"] != 0, changed)
    assert np.array_equal(outcome["fill_price"] != 0, changed)
    assert (outcome["commission"][~changed] == 0).all()


@few
@given(seed=paths["seed"])
def test_flat_accounts_keep_their_equity_to_the_cent(seed: int) -> None:
    bars = random_bars(30, seed)
    _, states, _ = play_one(rules_of(DEAR), bars, [0.0] * 29)

    assert {float(state.equity) for state in states} == {1000.0}


@few
@given(**paths)
def test_constant_prices_make_no_money(seed: int, costs: CostsConfig) -> None:
    targets = np.random.default_rng(seed).choice(GRID, size=20)
    outcomes, states, _ = play_one(rules_of(costs), daily(flat_candles(*[100.0] * 21)), targets.tolist())
    column = stacked(outcomes)
    paid = sum(column[kind].sum() for kind in ("commission", "spread", "slippage", "financing"))

    assert states[-1].equity == pytest.approx(1000.0 - paid, rel=1e-12)
    assert (np.diff(column["equity"]) <= 1e-12).all()


@few
@given(seed=paths["seed"])
def test_without_costs_a_short_loses_what_a_long_gains(seed: int) -> None:
    bars = random_bars(40, seed, sigma=0.005)
    held = [0.5] * 39

    _, long, _ = play_one(rules_of(), bars, held)
    _, short, _ = play_one(rules_of(), bars, [-target for target in held])

    gains = stacked(long)["equity"] - 1000.0
    assert np.allclose(stacked(short)["equity"] - 1000.0, -gains, rtol=0, atol=1e-9)
    assert np.abs(gains).max() > 1.0


@few
@given(seed=paths["seed"])
def test_linear_reward_is_the_same_in_the_mirrored_market_from_the_other_side(seed: int) -> None:
    bars = random_bars(40, seed)
    targets = np.random.default_rng(seed).choice(GRID, size=39)
    rules = rules_of(CostsConfig(), kind="linear")

    ours, _, _ = play_one(rules, bars, targets.tolist())
    mirrored, _, _ = play_one(rules, bars.mirrored(), (-targets).tolist())

    assert np.allclose(stacked(ours)["reward"], stacked(mirrored)["reward"], rtol=0, atol=1e-12)


def test_accounts_are_values_of_one_shape() -> None:
    accounts = open_accounts(np, (2, 3), 1000.0, np.ones((2, 1)))

    assert isinstance(accounts, Accounts)
    assert {np.shape(column) for column in accounts._replace(last_close=accounts.cash)} == {(2, 3)}
    assert accounts.cash.dtype == np.float64
    assert not accounts.ruined.any()
