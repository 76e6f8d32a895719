"""The bar loop: margin calls by hand, the life after one, no look-ahead, and one source for every kind of number."""

import math
from types import ModuleType
from typing import Any, NamedTuple

import array_api_compat.torch
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.trading import CostsConfig, RewardConfig, RiskConfig
from src.errors import TradingHalted
from src.execution import scalar
from src.execution.ledger import Accounts, open_accounts
from src.execution.tape import Tape, build_tape
from src.market.bars import BarSeries
from src.trading.records import StepRecord
from src.trading.rewards import GROWTH_FLOOR
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, Session
from tests.support.random_bars import random_bars
from tests.support.trading_cases import DEAR, FREE, Candle, daily, flat_candles, play, play_one, rules_of, stacked

GRID = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
QUIET = [*flat_candles(100.0, 100.0)]  # the position is opened at 100 on the second


class Call(NamedTuple):
    """The bar after a position of 1,000 times `target` was opened at 100, and what it leaves, costs aside."""

    name: str
    target: float
    bar: Candle
    price: float | None  # at which the position is closed; None if it survives
    equity: float


CALLS = [
    # Short 10 units with 2,000 in cash: 2000 - 10p <= 0.05 * 10p from p = 190.48.
    Call("short, spike to 191", -1.0, (100, 191, 100, 120), 191.0, 2000 - 1910),
    Call("short, spike to 190 is survived", -1.0, (100, 190, 100, 120), None, 2000 - 1200),
    Call("short, gap beyond everything owned", -1.0, (230, 240, 220, 225), 230.0, 2000 - 2300),
    Call("short, gap closes at the open, not at the worse high", -1.0, (195, 400, 100, 120), 195.0, 2000 - 1950),
    # Long 20 units with 1,000 borrowed: 20p - 1000 <= 0.05 * 20p from p = 52.63.
    Call("long on credit, dip to 52", 2.0, (100, 100, 52, 90), 52.0, 40),
    Call("long on credit, dip to 53 is survived", 2.0, (100, 100, 53, 90), None, 800),
    Call("long on credit, gap", 2.0, (40, 60, 30, 50), 40.0, -200),
    Call("long without credit survives anything", 1.0, (1, 1, 0.01, 0.5), None, 5),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_margin_calls(call: Call) -> None:
    rules = rules_of(grid=[-1.0, 0.0, 1.0, 2.0], max_leverage=2.0)

    (_, outcome), (held, after), _ = play_one(rules, daily([*QUIET, call.bar]), [call.target] * 2)

    assert outcome.terminated == after.ruined == (call.price is not None)
    assert outcome.equity == pytest.approx(call.equity, rel=1e-12)
    if call.price is not None:
        assert (outcome.call_units, outcome.call_price) == (-held.units, pytest.approx(call.price, rel=1e-12))
        assert (outcome.fill_units, outcome.fill_price) == (0.0, 0.0)
        assert (after.units, after.target, after.bars_in_trade, after.entry_price) == (0.0, 0.0, 0.0, 0.0)
    expected = math.log(max(call.equity / 1000.0, GROWTH_FLOOR))
    assert outcome.reward == pytest.approx(expected, rel=1e-12)


def test_a_margin_call_pays_the_costs_of_its_fill() -> None:
    costs = CostsConfig(10.0, 6.0, 4.0, borrow_bps_per_year=0.0, financing_bps_per_year=0.0)

    (_, outcome), (held, after), _ = play_one(rules_of(costs), daily([*QUIET, (100, 200, 100, 120)]), [-1.0] * 2)

    # 10 units sold at 99.9 and bought back at 200 * 1.001.
    assert held.cash == pytest.approx(1000 + 999 - 0.999, rel=1e-12)
    assert outcome.call_price == pytest.approx(200.2, rel=1e-12)
    paid = pytest.approx((1.2, 0.8, 2.002), rel=1e-12)
    assert (outcome.spread, outcome.slippage, outcome.commission) == paid
    assert (outcome.call_spread, outcome.call_slippage, outcome.call_commission) == paid
    assert after.equity == pytest.approx(held.cash - 2002.0 - 2.002, rel=1e-12)


def test_a_gap_cancels_the_pending_order() -> None:
    (_, outcome), (_, after), _ = play_one(rules_of(), daily([*QUIET, (195, 195, 195, 195)]), [-1.0, 1.0])

    assert (outcome.call_units, outcome.fill_units) == (
        10.0,
        0.0,
    )  # what was short, and nothing of the order to go long
    assert after.cash == outcome.equity == 50.0
    assert after.target == 0.0


def test_linear_reward_of_a_gap_is_that_of_the_position_held_into_it() -> None:
    rules = rules_of(CostsConfig(), kind="linear")

    (_, outcome), _, _ = play_one(rules, daily([*QUIET, (195, 195, 195, 195)]), [-1.0, 1.0])

    assert outcome.reward == pytest.approx(-math.log(1.95), rel=1e-12)


def test_an_order_and_a_margin_call_in_one_bar_are_two_fills_and_one_sum_of_money() -> None:
    # Short 10 at the open of 100, bought back at the high of 195 of the same bar, with 0.1 % commission on both.
    rules = rules_of(CostsConfig(10.0, 0.0, 0.0))

    (outcome,), (after,), _ = play_one(rules, daily([*flat_candles(100.0), (100, 195, 100, 100)]), [-1.0])

    assert outcome.terminated
    assert (outcome.fill_units, outcome.fill_price) == (-10.0, 100.0)
    assert (outcome.call_units, outcome.call_price) == (10.0, 195.0)
    assert (outcome.commission, outcome.call_commission) == pytest.approx((1.0 + 1.95, 1.95), rel=1e-12)
    assert after.equity == pytest.approx(1000 - 950 - 2.95, rel=1e-12)


def test_an_account_that_fees_leave_with_nothing_is_ruined() -> None:
    # Half the notional goes to the broker each way.
    costs = CostsConfig(5000.0, 0.0, 0.0, borrow_bps_per_year=0.0, financing_bps_per_year=0.0)
    rules = rules_of(costs, risk=RiskConfig(maintenance_margin_frac=0.0))

    outcomes, states, _ = play_one(rules, daily(flat_candles(*[100.0] * 4)), [1.0, 0.0, 1.0])

    assert [bool(outcome.terminated) for outcome in outcomes] == [False, True, False]
    assert [float(state.equity) for state in states] == [500.0, 0.0, 0.0]
    assert outcomes[2].reward == 0.0


def test_a_ruined_account_sits_flat_while_the_others_go_on() -> None:
    costs = CostsConfig(10.0, 0.0, 0.0, borrow_bps_per_year=900.0, financing_bps_per_year=900.0)
    bars = daily([*QUIET, (230, 240, 220, 225), *flat_candles(225.0, 100.0, 300.0)])
    rules, tape = rules_of(costs), build_tape(bars, costs)
    session = Session(rules)
    session.open(open_accounts(np, (2,), 1000.0, tape.close[0]))

    outcomes, states = play(session, tape, [[-1.0, 1.0], [-1.0, 0.5], [1.0, 1.0], [0.5, 0.0], [-1.0, -1.0]])

    column, state = stacked(outcomes), stacked(states)
    assert column["terminated"].tolist() == [[False, False], [True, False], *[[False, False]] * 3]
    assert state["ruined"][:, 0].tolist() == [False, True, True, True, True]
    assert (state["equity"][1:, 0] == state["equity"][1, 0]).all()
    assert state["equity"][1, 0] < 0  # the debt stays as it is: no interest on it
    for name in ("fill_units", "units", "commission", "financing", "reward"):
        assert not column[name][2:, 0].any()
    assert session.account_inputs()[0].tolist() == [0.0, 0.0, 1.0, 0.0]
    assert session.decide(np.array([1.0, 1.0])).tolist() == [0.0, 1.0]
    _, alone, _ = play_one(rules, bars, [1.0, 0.5, 1.0, 0.0, -1.0])
    assert np.array_equal(state["equity"][:, 1], stacked(alone)["equity"])


@pytest.mark.parametrize(("xp", "target"), [(np, math.nan), (scalar, math.nan), (scalar, math.inf)])
def test_a_target_that_is_no_number_halts_trading(xp: ModuleType, target: float) -> None:
    with pytest.raises(TradingHalted, match="not a finite number"):
        play_one(rules_of(), daily(flat_candles(100.0, 100.0)), [target], xp)


def test_without_a_decision_the_position_is_held_and_no_order_repeats() -> None:
    session, tape = Session(rules_of()), build_tape(daily(flat_candles(*[100.0] * 3)), FREE)
    session.open(open_accounts(np, (1,), 1000.0, 100.0))
    session.decide(np.array([1.0]))

    fills = [session.advance(tape.at(row)).fill_units.item() for row in (1, 2)]

    assert fills == [10.0, 0.0]
    assert session.accounts.target.tolist() == [1.0]


def test_the_later_of_two_decisions_at_one_close_counts() -> None:
    session, tape = Session(rules_of()), build_tape(daily(flat_candles(100.0, 100.0)), FREE)
    session.open(open_accounts(np, (1,), 1000.0, 100.0))
    session.decide(np.array([1.0]))
    session.decide(np.array([-0.5]))

    assert session.advance(tape.at(1)).fill_units.tolist() == [-5.0]


def test_outcome_fields_are_those_of_a_step_record() -> None:
    assert ("close_time", "target", *BarOutcome._fields) == StepRecord._fields


PLAYS = {
    "defaults": rules_of(CostsConfig()),
    "dear": rules_of(DEAR),
    "free": rules_of(),
    "linear": rules_of(DEAR, kind="linear"),
    "guarded": rules_of(
        DEAR,
        RiskConfig(max_exposure=0.8, max_drawdown_frac=0.3, max_daily_loss_frac=0.02),
        reward=RewardConfig(scale=None, drawdown_penalty=0.5, variance_penalty=2.0),
        rebalance_band=0.05,
    ),
    "ruinous": rules_of(DEAR, RiskConfig(maintenance_margin_frac=0.9), reward=RewardConfig(drawdown_penalty=1.0)),
}
every_play = pytest.mark.parametrize("rules", PLAYS.values(), ids=PLAYS)


def _targets(seed: int, steps: int, shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(seed)
    fresh = rng.choice(GRID, size=(steps, *shape))
    changes = rng.random((steps, *shape)) < 0.3
    changes[0] = True
    last_change = np.maximum.accumulate(np.where(changes, np.arange(steps).reshape(-1, *[1] * len(shape)), 0), axis=0)
    return np.take_along_axis(fresh, last_change, axis=0)


def _history(
    rules: TradingRules, bars: BarSeries, targets: Any, xp: ModuleType = np, convert: Any = np.asarray
) -> dict[str, Any]:
    """Return every outcome, account column and account input of a play, by name, (steps, ...)."""
    session, tape = Session(rules, xp), build_tape(bars, rules.costs)
    session.open(open_accounts(xp, targets.shape[1:], rules.initial_equity, convert(tape.close[0])))
    inputs, outcomes, states = [], [], []
    for step, target in enumerate(targets):
        now, then = play(session, tape, [target], convert, start=step)
        outcomes += now
        states += then
        inputs.append(session.account_inputs())
    columns = {f"account {name}": column for name, column in stacked(states).items()}
    return stacked(outcomes) | columns | {"inputs": np.array(inputs)}


@every_play
def test_one_account_of_floats_equals_numpy_bit_for_bit(rules: TradingRules) -> None:
    bars, targets = random_bars(300, seed=7, sigma=0.03), _targets(7, 299, (2,))
    arrays = _history(rules, bars, targets)

    for lane in range(2):
        floats = _history(rules, bars, targets[:, lane], scalar, float)
        assert floats["inputs"].dtype == np.float32
        for name, column in floats.items():
            whole = arrays[name] if name == "account last_close" else arrays[name][:, lane]
            assert np.array_equal(column, whole), name


@every_play
def test_torch_equals_numpy(rules: TradingRules) -> None:
    bars, targets = random_bars(120, seed=8, sigma=0.03), _targets(8, 119, (3,))

    arrays = _history(rules, bars, targets)
    tensors = _history(rules, bars, targets, array_api_compat.torch, torch.tensor)

    for name, column in tensors.items():
        assert column.dtype == arrays[name].dtype, name
        assert np.allclose(column, arrays[name], rtol=1e-12, atol=1e-12), name


@every_play
def test_many_accounts_equal_one_by_one(rules: TradingRules) -> None:
    # Accounts of groups (2, 3) on bars of their own.
    bars, targets = random_bars(80, seed=9, sigma=0.03), _targets(9, 40, (2, 3))
    starts, tape = np.array([[0], [35]]), build_tape(bars, rules.costs)
    session = Session(rules)
    session.open(open_accounts(np, (2, 3), 1000.0, tape.close[starts]))
    together = []
    for step, target in enumerate(targets):
        session.decide(target)
        together.append(session.advance(tape.at(starts + step + 1)))
    columns = stacked(together)

    for group in range(2):
        for lane in range(3):
            single = Session(rules)
            single.open(open_accounts(np, (1,), 1000.0, tape.close[starts[group]]))
            alone, _ = play(single, tape, targets[:, group, lane, None], start=starts.item(group))
            for name, column in stacked(alone).items():
                assert np.array_equal(column[:, 0], columns[name][:, group, lane]), name


@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=st.integers(0, 1000), row=st.integers(1, 58))
def test_changing_later_bars_changes_nothing_up_to_now(seed: int, row: int) -> None:
    bars, other, targets = random_bars(60, seed), random_bars(60, seed + 1), _targets(seed, 59, (2,))
    columns = ("open", "high", "low", "close", "volume")
    spliced = [np.concatenate([getattr(bars, c)[: row + 1], getattr(other, c)[row + 1 :]]) for c in columns]
    changed = BarSeries("TEST", "1h", bars.open_time, *spliced)

    before, after = (_history(PLAYS["guarded"], series, targets) for series in (bars, changed))

    for name, column in before.items():
        assert np.array_equal(column[:row], after[name][:row]), name
    assert not np.array_equal(before["equity"][row:], after["equity"][row:])


@every_play
def test_a_restored_session_goes_on_as_if_uninterrupted(rules: TradingRules) -> None:
    bars, targets = random_bars(60, seed=10, sigma=0.03), _targets(10, 59, (3,))
    tape, session, resumed = build_tape(bars, rules.costs), Session(rules), Session(rules)
    session.open(open_accounts(np, (3,), 1000.0, tape.close[0]))
    play(session, tape, targets[:30])
    session.decide(targets[30])  # an order is pending

    resumed.load_state_dict({name: np.array(value) for name, value in session.state_dict().items()})

    bar = tape.at(31)
    for ours, theirs in zip(session.advance(bar), resumed.advance(bar), strict=True):
        assert np.array_equal(ours, theirs)
    whole, _ = play(session, tape, targets[31:], start=31)
    again, _ = play(resumed, tape, targets[31:], start=31)
    for name, column in stacked(whole).items():
        assert np.array_equal(column, stacked(again)[name]), name


def test_reopened_accounts_start_afresh_and_leave_the_others_alone() -> None:
    rules, tape = rules_of(CostsConfig()), build_tape(random_bars(20, seed=11), CostsConfig())
    session, untouched = Session(rules), Session(rules)
    for each in (session, untouched):
        each.open(open_accounts(np, (2,), 1000.0, np.full(2, tape.close[0])))
        play(each, tape, [[1.0, -1.0], [0.5, -0.5]])
        each.decide(np.array([-1.0, 1.0]))
    fresh = open_accounts(np, (2,), 500.0, np.full(2, tape.close[2]))

    session.reopen(np.array([False, True]), fresh)
    ours, theirs = session.advance(tape.at(3)), untouched.advance(tape.at(3))

    assert all(np.array_equal(a[0], b[0]) for a, b in zip(ours, theirs, strict=True))
    assert (ours.fill_units[1], ours.equity[1]) == (0.0, 500.0)


def test_reopening_revives_a_ruined_account() -> None:
    session = Session(rules_of())
    session.open(open_accounts(np, (2,), 1000.0, np.full(2, 100.0))._replace(ruined=np.array([True, False])))

    session.reopen(np.array([True, False]), open_accounts(np, (2,), 1000.0, np.full(2, 100.0)))

    assert session.decide(np.array([1.0, 1.0])).tolist() == [1.0, 1.0]


def test_a_tape_of_tensors_serves_tensor_accounts() -> None:
    tape = Tape(*map(torch.tensor, build_tape(random_bars(10, seed=12), CostsConfig())))
    session = Session(rules_of(CostsConfig()), array_api_compat.torch)
    session.open(open_accounts(array_api_compat.torch, (2, 3), 1000.0, tape.close[torch.tensor([[0], [4]])]))
    session.decide(torch.ones((2, 3), dtype=torch.float64))

    outcome = session.advance(tape.at(torch.tensor([[1], [5]])))

    assert isinstance(session.accounts, Accounts)
    assert outcome.equity.shape == (2, 3)
    assert session.account_inputs().shape == (2, 3, 4)
    assert session.account_inputs().dtype == torch.float32


def test_where_a_position_is_held_no_order_is_placed_and_the_target_in_force_remains() -> None:
    session = Session(rules_of(rebalance_band=0.05), np)
    accounts = open_accounts(np, (3,), 1000.0, 100.0)
    # 400 of 1000 held with a target of one half: the band asks for 100 more.
    session.open(
        accounts._replace(cash=accounts.cash - 400.0, units=accounts.units + 4.0, target=accounts.target + 0.5)
    )
    decided = session.decide(np.array([1.0, 0.5, 1.0]), np.array([True, True, False]))
    assert decided.tolist() == [0.5, 0.5, 1.0]
    assert session.pending.units.tolist() == [0.0, 0.0, 6.0]
    assert session.decide(np.array([0.5, 0.5, 0.5])).tolist() == [0.5, 0.5, 0.5]
    assert session.pending.units.tolist() == [1.0, 1.0, 1.0]
