"""Protective stops in a backtest: numbers by hand, by a plain loop, and the same in every array namespace."""

from dataclasses import replace

import array_api_compat.torch as torch_xp
import numpy as np
import pytest
import torch

from src.agents.baselines import scripted
from src.backtesting.engine import run_backtest
from src.config.trading import CostsConfig, RiskConfig
from src.errors import ConfigError
from src.evaluation.trades import extract_trades
from src.execution import scalar
from src.execution.ledger import open_accounts
from src.execution.tape import build_tape
from src.market.bars import BarSeries
from src.risk.protective_stop import stop_loss_frac
from src.trading.fills import fills_of
from src.trading.rules import TradingRules
from src.trading.session import Session
from tests.support.random_bars import random_bars
from tests.support.trading_cases import DEAR, Candle, daily, play, play_one, rules_of, stacked

WIDE = rules_of(max_leverage=2.0, grid=[-1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
CALM: Candle = (100.0, 101.0, 99.0, 100.0)


def stopped_rules(loss_frac: float = 0.4, costs: CostsConfig | None = None, **action: object) -> TradingRules:
    rules = rules_of(**({} if costs is None else {"costs": costs}), **action)
    return replace(rules, stop_loss_frac=loss_frac)


# A position is opened at 100 in row 1; the bar of row 2 reaches the stop or does not.
@pytest.mark.parametrize(
    ("target", "bar", "price"),
    [
        (1.0, (100, 101, 59.9, 100), 60.0),  # reached, and left again: nobody knows what came first
        (1.0, (100, 101, 60.01, 61), None),
        (1.0, (50, 70, 45, 65), 50.0),  # a gap through the stop
        (0.5, (100, 101, 19.9, 90), 20.0),  # half of the equity: twice as far
        (0.5, (100, 101, 21, 90), None),
        (0.1, (100, 101, 9.9, 90), 10.0),  # never lower than a tenth of the entry
        (-1.0, (100, 140.1, 99, 100), 140.0),
        (-1.0, (100, 139.9, 99, 100), None),
        (-1.0, (150, 160, 110, 120), 150.0),
        (-0.5, (100, 180.1, 99, 100), 180.0),
        (2.0, (100, 101, 79.9, 100), 80.0),
    ],
)
def test_a_stop_fills_at_its_price_or_the_open_whichever_is_worse(
    target: float, bar: Candle, price: float | None
) -> None:
    bars = daily([CALM, CALM, bar, CALM])
    outcomes, states, _ = play_one(stopped_rules(max_leverage=2.0), bars, [target, target])
    units = target * 1000 / 100
    if price is None:
        assert outcomes[1].call_units == 0
        assert states[1].units == pytest.approx(units)
        return
    assert outcomes[1].call_units == pytest.approx(-units)
    assert outcomes[1].call_price == pytest.approx(price)
    assert states[1].units == 0
    assert states[1].target == 0
    assert not outcomes[1].terminated
    assert outcomes[1].equity == pytest.approx(1000 + units * (price - 100))


def test_a_stop_acts_in_the_bar_in_which_its_position_was_opened_and_the_account_goes_on() -> None:
    bars = daily([CALM, (100, 101, 50, 90), (90, 91, 89, 90), (99, 99, 99, 99)])
    outcomes, states, _ = play_one(stopped_rules(), bars, [1.0, 1.0, 1.0])
    assert outcomes[0].fill_units == pytest.approx(10.0)
    assert outcomes[0].call_units == pytest.approx(-10.0)
    assert outcomes[0].equity == pytest.approx(600.0)
    assert outcomes[1].fill_units == pytest.approx(600 / 90), "the agent wants to hold still, and buys again"
    assert states[2].equity == pytest.approx(600 / 90 * 99)


def test_the_distance_is_from_the_average_entry_and_only_the_position_moves_it() -> None:
    # 5 units at 100, then 5 more at 200, sized at the close before: 150 on average, and the stop at 90.
    up, high = (200.0, 200.0, 200.0, 200.0), (300.0, 300.0, 90.1, 300.0)
    bars = daily([CALM, CALM, up, high, high, (300.0, 300.0, 89.9, 300.0)])
    outcomes, states, _ = play_one(stopped_rules(), bars, [0.5, 1.0, 1.0, 1.0, 1.0])
    assert states[1].entry_price == pytest.approx(150.0)
    assert [float(outcome.call_units) for outcome in outcomes] == pytest.approx([0, 0, 0, 0, -10])
    assert outcomes[-1].call_price == pytest.approx(90.0)


def test_costs_are_those_of_any_fill_at_that_bar() -> None:
    costs = CostsConfig(commission_bps=10, half_spread_bps=6, slippage_bps=4, borrow_bps_per_year=0)
    bars = daily([CALM, CALM, (100, 101, 30, 100)])
    outcomes, states, _ = play_one(stopped_rules(costs=costs), bars, [1.0, 1.0])
    units = 10.0
    entry = 100 * 1.001
    stop = 0.6 * entry
    sold = stop * 0.999
    cash = 1000 - units * entry * 1.001 + units * sold * 0.999
    assert outcomes[1].call_price == pytest.approx(sold)
    assert states[1].cash == pytest.approx(cash)
    assert outcomes[1].call_commission == pytest.approx(units * sold * 0.001)
    assert outcomes[1].commission == pytest.approx(units * sold * 0.001)
    assert outcomes[1].call_spread == pytest.approx(units * stop * 0.0006)


def script(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], count // 6 + 1), 6)[:count]


def plain_loop(bars: BarSeries, targets: np.ndarray, loss: float, cost: float, fee: float) -> np.ndarray:
    """Equity at each close of an account that trades at the open, by nothing but arithmetic."""
    cash, units, paid, in_force, equity = 1000.0, 0.0, 0.0, 0.0, [1000.0]

    def trade(amount: float, price: float) -> tuple[float, float]:
        price *= 1 + float(np.sign(amount)) * cost
        return amount * price, abs(amount) * price * fee

    for row in range(1, len(bars)):
        opened, high, low, close = (float(column[row]) for column in (bars.open, bars.high, bars.low, bars.close))
        wanted = float(targets[row - 1])
        if wanted != in_force:
            amount = wanted * equity[-1] / float(bars.close[row - 1]) - units
            spent, commission = trade(amount, opened)
            cash -= spent + commission
            if units * (units + amount) <= 0:  # opened or turned around
                paid = (units + amount) * (opened * (1 + np.sign(amount) * cost))
            elif abs(units + amount) > abs(units):
                paid += spent
            else:
                paid *= (units + amount) / units
            units, in_force = units + amount, wanted
        if units != 0 and wanted != 0:
            entry = paid / units
            stop = entry * max(1 - np.sign(units) * loss / abs(in_force), 0.1)
            if (units > 0 and low <= stop) or (units < 0 and high >= stop):
                price = min(stop, opened) if units > 0 else max(stop, opened)
                spent, commission = trade(-units, price)
                cash, units, paid, in_force = cash - spent - commission, 0.0, 0.0, 0.0
        equity.append(cash + units * close)
    return np.array(equity)


@pytest.mark.parametrize("seed", range(4))
def test_an_account_with_stops_equals_a_plain_loop(seed: int) -> None:
    bars = random_bars(300, seed)
    costs = CostsConfig(
        commission_bps=10, half_spread_bps=6, slippage_bps=4, borrow_bps_per_year=0, financing_bps_per_year=0
    )
    targets = script(len(bars), seed)
    rules = stopped_rules(0.015, costs)
    result = run_backtest(scripted(WIDE, targets), bars, rules, range(len(bars)), prove=False)
    assert fills_of(result.records).is_stop.sum() > 5
    np.testing.assert_allclose(result.records.equity, plain_loop(bars, targets, 0.015, 0.001, 0.001), rtol=1e-9)


def test_one_account_of_floats_many_in_numpy_and_in_torch_are_equal_bit_for_bit() -> None:
    bars, rules = random_bars(300, 1), stopped_rules(0.015, DEAR)
    tape, targets = build_tape(bars, rules.costs), script(300, 1)
    ends = []
    for xp, convert in ((np, np.asarray), (torch_xp, torch.as_tensor)):
        session = Session(rules, xp)
        session.open(open_accounts(xp, (2,), 1000.0, convert(np.full(2, tape.close[0]))))
        outcomes, _ = play(session, tape, [np.full(2, target) for target in targets[:-1]], convert)
        ends.append({name: np.array(column, dtype=float)[:, 0] for name, column in stacked(outcomes).items()})
    _, _, single = play_one(rules, bars, targets[:-1].tolist(), scalar)
    records = run_backtest(scripted(WIDE, targets), bars, rules, range(300), prove=False).records
    for name in ("units", "equity", "call_units", "call_price", "reward"):
        assert np.array_equal(ends[0][name], ends[1][name]), name
        assert np.array_equal(ends[0][name], np.asarray(getattr(records, name), dtype=float)[1:]), name
    assert single.accounts.equity == ends[0]["equity"][-1]
    assert (ends[0]["call_units"] != 0).sum() > 5


def test_a_stop_that_is_never_reached_changes_not_one_bit() -> None:
    bars, targets = random_bars(300, 2), script(300, 2)
    agent = scripted(WIDE, targets)
    without = run_backtest(agent, bars, rules_of(DEAR), range(300), prove=False)
    beside = run_backtest(agent, bars, stopped_rules(0.95, DEAR), range(300), prove=False)
    for name, column in without.records._asdict().items():
        assert np.array_equal(column, getattr(beside.records, name)), name


def test_later_bars_change_no_earlier_stop() -> None:
    bars, targets = random_bars(300, 3), script(300, 3)
    later = bars[:150]
    whole = run_backtest(scripted(WIDE, targets), bars, stopped_rules(0.015, DEAR), range(300), prove=False).records
    part = run_backtest(
        scripted(WIDE, targets[:150]), later, stopped_rules(0.015, DEAR), range(150), prove=False
    ).records
    for name, column in part._asdict().items():
        assert np.array_equal(np.asarray(column), np.asarray(getattr(whole, name))[:150], equal_nan=True), name


def test_trades_say_that_a_stop_ended_them() -> None:
    bars = daily([CALM, CALM, (100, 101, 50, 90), (90, 91, 89, 90)])
    result = run_backtest(scripted(WIDE, np.array([1.0, 1.0, 0.0, 0.0])), bars, stopped_rules(), range(4), prove=False)
    assert extract_trades(result.records, bars.close).exit_reason == ["protective stop"]
    fills = fills_of(result.records)
    assert fills.is_stop.tolist() == [False, True]
    assert not fills.is_margin_call.any()


def test_a_gap_that_leaves_no_equity_is_a_margin_call() -> None:
    bars = daily([CALM, CALM, (40, 41, 40, 41), (41, 41, 41, 41)])
    rules = stopped_rules(0.4, max_leverage=2.0, grid=[0.0, 2.0], allow_short=False)
    result = run_backtest(scripted(WIDE, np.full(4, 2.0)), bars, rules, range(4), prove=False)
    assert result.records.terminated.tolist() == [False, False, True, False]
    assert extract_trades(result.records, bars.close).exit_reason == ["margin call"]


@pytest.mark.parametrize(
    ("daily_loss", "drawdown", "multiple", "loss"),
    [
        (0.05, 0.2, 2.0, 0.4),
        (0.05, None, 2.0, 0.1),
        (None, 0.1, 3.0, 0.3),
        (None, None, 2.0, None),
        (0.05, 0.2, 0.0, None),
    ],
)
def test_the_loss_is_a_multiple_of_the_wider_limit(
    daily_loss: float | None, drawdown: float | None, multiple: float, loss: float | None
) -> None:
    risk = RiskConfig(max_daily_loss_frac=daily_loss, max_drawdown_frac=drawdown)
    assert stop_loss_frac(risk, multiple) == (None if loss is None else pytest.approx(loss))


def test_without_a_loss_limit_there_is_nothing_to_be_a_multiple_of() -> None:
    with pytest.raises(ConfigError, match=r"--risk, such as config/risk\.yaml"):
        rules_of().with_protective_stop(2.0)
