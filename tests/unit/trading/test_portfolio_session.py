"""Accounts of several symbols: identities of the one ledger, missing bars, delistings, and the same bits anywhere."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from array_api_compat import torch as xp_torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.trading import CostsConfig, RiskConfig
from src.execution.assets import AssetAxis, total
from src.execution.ledger import open_accounts
from src.execution.orders import Orders
from src.execution.panel_tape import PanelTape, build_panel_tape
from src.execution.tape import Tape
from src.market.bars import BarSeries
from src.market.panel import DELISTED_AFTER_BARS, Panel
from src.trading.portfolio_session import PortfolioSession
from src.trading.rules import TradingRules
from src.trading.session import BarOutcome, Session
from tests.support.random_panels import ragged_panel, random_targets, whole_panel
from tests.support.trading_cases import DEAR, FREE, rules_of

DAY_MS = 86_400_000
RISKY = RiskConfig(max_daily_loss_frac=0.2, max_drawdown_frac=0.6)
SEEDS = st.integers(0, 10_000)


def opened(rules: TradingRules, tape: PanelTape, shape: tuple[int, ...], xp: Any = np) -> PortfolioSession:
    session = PortfolioSession(rules, xp)
    session.open(open_accounts(AssetAxis(xp), shape, rules.initial_equity, tape.close[0]))
    return session


def play(session: Session, tape: Any, targets: Any) -> list[BarOutcome]:
    outcomes = []
    for row in range(1, len(targets)):
        session.decide(targets[row - 1])
        outcomes.append(session.advance(tape.at(row)))
    return outcomes


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_one_symbol_is_the_session_of_one_market_to_the_bit(seed: int) -> None:
    panel, rules = whole_panel(200, 1, seed, sigma=0.05), rules_of(DEAR, RISKY, kind="linear", max_leverage=4.0)
    tape, targets = build_panel_tape(panel, rules.costs), random_targets((200, 3, 1), seed, 4.0)
    many = play(opened(rules, tape, (3,)), tape, targets)
    one = Session(rules)
    alone = Tape(*[column[:, 0] if column.ndim == 2 else column for column in tape[: len(Tape._fields)]])
    one.open(open_accounts(np, (3,), rules.initial_equity, alone.close[0]))
    for ours, theirs in zip(many, play(one, alone, targets[..., 0]), strict=True):
        for name in BarOutcome._fields:
            mine = getattr(ours, name)
            assert np.array_equal(mine[..., 0] if np.ndim(mine) == 2 else mine, getattr(theirs, name)), name


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_money_is_where_the_fills_and_interest_say(seed: int) -> None:
    panel, rules = ragged_panel(120, 5, seed), rules_of(DEAR, max_leverage=3.0)
    tape = build_panel_tape(panel, rules.costs)
    session, cash, held = opened(rules, tape, ()), rules.initial_equity, np.zeros(5)
    for row, target in enumerate(random_targets((120, 5), seed)[:-1], start=1):
        session.decide(target)
        outcome, bar = session.advance(tape.at(row)), tape.at(row)
        filled = outcome.fill_units + outcome.call_units
        paid = (outcome.fill_units * outcome.fill_price).sum() + (outcome.call_units * outcome.call_price).sum()
        cash -= paid + outcome.commission.sum() + outcome.financing
        held = held + filled
        assert session.accounts.cash == pytest.approx(cash, abs=1e-6)
        assert session.accounts.units == pytest.approx(held, abs=1e-9)
        assert outcome.equity == pytest.approx(cash + (held * bar.close).sum(), abs=1e-6)
        assert not outcome.fill_units[~bar.has_bar].any()


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_independent_accounts_add_up_to_one_with_the_same_fills(seed: int) -> None:
    costs = CostsConfig(financing_bps_per_year=0.0)  # on borrowed cash, which accounts may lend one another
    panel, rules = whole_panel(80, 4, seed, sigma=0.01), rules_of(costs, max_leverage=4.0)
    tape, rng = build_panel_tape(panel, costs), np.random.default_rng(seed)
    joint = opened(rules, tape, ())
    alone = [Session(rules) for _ in range(4)]
    each = [Tape(*[c[:, n] if c.ndim == 2 else c for c in tape[: len(Tape._fields)]]) for n in range(4)]
    for session, own in zip(alone, each, strict=True):
        session.open(open_accounts(np, (), rules.initial_equity, own.close[0]))
    for row in range(1, 80):
        units = rng.normal(0, 0.3, 4)
        joint.pending = Orders(units, joint.accounts.target)
        for number, session in enumerate(alone):
            session.pending = Orders(units[number], session.accounts.target)
        whole = joint.advance(tape.at(row))
        parts = [session.advance(own.at(row)) for session, own in zip(alone, each, strict=True)]
        assert whole.equity - 1000 == pytest.approx(sum(part.equity - 1000 for part in parts), abs=1e-8)
        assert whole.financing == pytest.approx(sum(part.financing for part in parts), abs=1e-10)


@pytest.mark.parametrize("symbols", [1, 2, 7, 30])
def test_one_account_and_many_numpy_and_torch_have_the_same_bits(symbols: int) -> None:
    alike = replace(DEAR, impact=0.0)  # torch rounds square roots and logarithms its own way
    panel, rules = ragged_panel(60, symbols, 3), rules_of(alike, RISKY, kind="linear", max_leverage=3.0)
    tape, targets = build_panel_tape(panel, rules.costs), random_targets((60, 11, symbols), 4, 4.0 / symbols)
    many = play(opened(rules, tape, (11,)), tape, targets)
    single = play(opened(rules, tape, ()), tape, targets[:, 6])
    tensors = PanelTape(*[xp_torch.asarray(column.copy()) for column in tape])
    torches = play(opened(rules, tensors, (11,), xp_torch), tensors, xp_torch.asarray(targets))
    assert sum(int(outcome.terminated.any()) for outcome in many) < 60
    for all_of, one, other in zip(many, single, torches, strict=True):
        for name in BarOutcome._fields:
            assert np.array_equal(getattr(all_of, name)[6], getattr(one, name)), name
            assert np.array_equal(getattr(all_of, name), getattr(other, name).numpy()), name


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 40))
def test_a_sum_over_assets_is_one(seed: int, assets: int) -> None:
    values = np.random.default_rng(seed).normal(size=(3, assets)) * 1e3
    before = values.copy()
    assert total(AssetAxis(np), values) == pytest.approx(values.sum(axis=1), abs=1e-9)
    assert np.array_equal(values, before)
    assert total(np, values) is values


def test_a_margin_call_closes_everything_with_each_symbol_at_its_worst() -> None:
    # Long 15 of each of two with 1,000: both at their lows of 60 at once are worth 1,800 with debts of 2,000.
    days = np.arange(3)

    def candles(symbol: str) -> BarSeries:
        close = np.array([100.0, 100.0, 100.0])
        low = np.array([100.0, 100.0, 60.0])
        return BarSeries(symbol, "1d", days * DAY_MS, close, close, low, close, close)

    rules = rules_of(FREE, RiskConfig(maintenance_margin_frac=0.0), max_leverage=3.0)
    panel = Panel.of("P", [candles("A"), candles("B")])
    tape = build_panel_tape(panel, rules.costs)
    calm, called = play(opened(rules, tape, ()), tape, np.full((3, 2), 1.5))
    assert calm.units.tolist() == [15.0, 15.0]
    assert called.call_units.tolist() == [-15.0, -15.0]
    assert called.equity == 1000 - 3000 + 2 * 15 * 60
    assert called.terminated


def test_an_order_without_a_bar_lapses_and_its_target_stays() -> None:
    def candles(symbol: str, days: list[int]) -> BarSeries:
        close = np.full(len(days), 50.0)
        return BarSeries(symbol, "1d", np.array(days) * DAY_MS, close, close, close, close, close)

    rules = rules_of(FREE)
    panel = Panel.of("P", [candles("A", [0, 1, 2, 3]), candles("B", [0, 1, 3])])
    tape = build_panel_tape(panel, rules.costs)
    session = opened(rules, tape, ())
    first, lapsed, filled = play(session, tape, np.array([[0.2, 0.2], [0.2, 0.4], [0.2, 0.4], [0.2, 0.4]]))
    assert first.units.tolist() == [4.0, 4.0]
    assert lapsed.fill_units.tolist() == [0.0, 0.0]
    assert filled.fill_units.tolist() == [0.0, 4.0]


def test_a_delisted_holding_is_closed_less_its_haircut_if_long() -> None:
    days = np.arange(DELISTED_AFTER_BARS + 4)
    close = np.full(len(days), 50.0)
    whole = BarSeries("A", "1d", days * DAY_MS, close, close, close, close, close)
    short = BarSeries("B", "1d", days[:2] * DAY_MS, *[close[:2]] * 5)
    tape = build_panel_tape(Panel.of("P", [whole, short]), FREE)
    session = PortfolioSession(rules_of(FREE), delisting_haircut_frac=0.4)
    session.open(open_accounts(AssetAxis(np), (2,), 1000.0, tape.close[0]))
    session.decide(np.array([[0.0, 0.5], [0.0, -0.5]]))
    held = session.advance(tape.at(1))
    assert held.units[:, 1].tolist() == [10.0, -10.0]
    gone = session.advance(tape.at(2))
    assert gone.call_units[:, 1].tolist() == [-10.0, 10.0]
    assert gone.call_price[:, 1].tolist() == [30.0, 50.0]
    assert gone.equity.tolist() == [800.0, 1000.0]
    assert session.accounts.target.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert not gone.terminated.any()


@pytest.mark.parametrize(("kind", "loss"), [("linear", 0.5 * math.log(0.6)), ("log_growth", math.log(0.8))])
def test_a_delisting_is_a_loss_to_either_reward(kind: str, loss: float) -> None:
    days = np.arange(DELISTED_AFTER_BARS + 6)
    close = np.full(len(days), 50.0)
    whole = BarSeries("A", "1d", days * DAY_MS, close, close, close, close, close)
    brief = BarSeries("B", "1d", days[:2] * DAY_MS, *[close[:2]] * 5)
    tape = build_panel_tape(Panel.of("P", [whole, brief]), FREE)
    session = PortfolioSession(rules_of(FREE, kind=kind), delisting_haircut_frac=0.4)
    session.open(open_accounts(AssetAxis(np), (2,), 1000.0, tape.close[0]))
    session.decide(np.array([[0.0, 0.5], [0.0, -0.5]]))
    session.advance(tape.at(1))
    assert session.advance(tape.at(2)).reward == pytest.approx([loss, 0.0])
    assert session.advance(tape.at(3)).reward == pytest.approx([0.0, 0.0])


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(5, 55))
def test_the_tape_of_the_past_does_not_change_with_the_future(seed: int, now: int) -> None:
    panel = ragged_panel(60, 4, seed)
    costs = CostsConfig(slippage_volatility=0.1, impact=0.2)
    held = [symbol for number, symbol in enumerate(panel.symbols) if panel.has_bar[:now, number].sum() > 1]
    past = [bars[: int((bars.open_time < panel.open_time[now]).sum())] for bars in map(panel.series, held)]
    ours = [panel.symbols.index(symbol) for symbol in held]
    earlier, whole = build_panel_tape(Panel.of("past", past), costs), build_panel_tape(panel, costs)
    for name in PanelTape._fields:
        column, known = getattr(whole, name)[:now], getattr(earlier, name)
        if name == "is_delisted":
            continue  # that a symbol has ended is known once it has been silent for a while
        assert np.array_equal(column[:, ours] if column.ndim == 2 else column, known), name
