"""Randomised starts: what a past trade would have left, drawn account after account."""

import numpy as np
import pytest

from src.config.trading import ActionKind
from src.execution.tape import build_tape
from src.trading.initial_accounts import MAX_DRAWDOWN_FRAC, MAX_TRADE_BARS, random_accounts
from src.trading.session import Session
from tests.support.random_bars import random_bars
from tests.support.trading_cases import rules_of

BARS = random_bars(2000, seed=0)
ROWS = np.random.default_rng(1).integers(100, 1999, size=4000)


def test_starts_are_consistent_accounts() -> None:
    accounts = random_accounts(np.random.default_rng(0), rules_of(), BARS.close, ROWS)
    close = BARS.close[ROWS]
    open_ones = accounts.units != 0

    assert accounts.equity == pytest.approx(accounts.cash + accounts.units * close, rel=1e-12)
    assert accounts.units * close == pytest.approx(accounts.target * accounts.equity, rel=1e-12)
    assert (accounts.equity == 1000.0).all()
    assert (accounts.peak_equity >= accounts.equity).all()
    assert np.array_equal(accounts.last_close, close)
    assert np.array_equal(open_ones, accounts.target != 0)
    assert (accounts.bars_in_trade[open_ones] >= 1).all()
    assert not accounts.bars_in_trade[~open_ones].any()
    assert not accounts.ruined.any()


def test_the_trade_began_at_the_close_of_its_first_bar() -> None:
    accounts = random_accounts(np.random.default_rng(0), rules_of(), BARS.close, ROWS)
    began = BARS.close[ROWS - accounts.bars_in_trade.astype(np.int64)]
    held = accounts.units != 0

    assert accounts.entry_price[held] == pytest.approx(began[held], rel=1e-12)
    worth_then = accounts.equity - accounts.units * (BARS.close[ROWS] - began)
    assert (accounts.peak_equity >= worth_then).all()


def test_starts_cover_what_a_long_backtest_may_show() -> None:
    accounts = random_accounts(np.random.default_rng(0), rules_of(), BARS.close, ROWS)
    drawdown = 1.0 - accounts.equity / accounts.peak_equity
    longest = accounts.bars_in_trade.max()

    counts = np.unique(accounts.target, return_counts=True)
    assert counts[0].tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert (np.abs(counts[1] / len(ROWS) - 0.2) < 0.03).all()
    assert 0.9 * MAX_TRADE_BARS < longest <= MAX_TRADE_BARS
    assert np.median(accounts.bars_in_trade[accounts.units != 0]) < 40
    assert drawdown.max() > 0.9 * MAX_DRAWDOWN_FRAC
    assert np.median(drawdown) < 0.25


def test_trades_do_not_reach_back_beyond_the_series() -> None:
    rows, history = np.full(500, 1000), np.full(500, 3)

    accounts = random_accounts(np.random.default_rng(0), rules_of(), BARS.close, rows, history)

    assert set(accounts.bars_in_trade) == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("kind", ActionKind)
def test_many_starts_equal_one_by_one(kind: ActionKind) -> None:
    rules, together, alone = rules_of(kind=kind), np.random.default_rng(5), np.random.default_rng(5)
    many = random_accounts(together, rules, BARS.close, ROWS[:6].reshape(2, 3))

    for index, row in enumerate(ROWS[:6]):
        single = random_accounts(alone, rules, BARS.close, np.array([row]))
        for whole, one in zip(many, single, strict=True):
            assert whole.reshape(-1)[index] == one[0]


@pytest.mark.parametrize("allow_short", [True, False])
def test_continuous_targets_fill_the_range(allow_short: bool) -> None:
    rules = rules_of(kind=ActionKind.continuous, max_leverage=1.0, allow_short=allow_short)

    target = random_accounts(np.random.default_rng(0), rules, BARS.close, ROWS).target

    assert -1.0 * allow_short <= target.min() < -0.99 * allow_short + 0.01
    assert 0.99 < target.max() <= 1.0


def test_a_session_goes_on_from_a_random_start_without_an_order() -> None:
    rules, tape = rules_of(), build_tape(BARS, rules_of().costs)
    session = Session(rules)
    session.open(random_accounts(np.random.default_rng(0), rules, BARS.close, np.full(50, 700)))
    before = session.accounts

    session.decide(before.target)
    outcome = session.advance(tape.at(slice(701, 702)))

    assert not outcome.fill_units.any()
    assert outcome.equity == pytest.approx(before.equity + before.units * (BARS.close[701] - BARS.close[700]))
