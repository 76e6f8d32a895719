"""One account on compiled bars is the account of the session, bit for bit, on usual bars and on all others."""

import math
from dataclasses import replace

import numpy as np
import pytest

from src.config.trading import ActionConfig, ActionKind, CostsConfig, RewardConfig, RiskConfig
from src.errors import TradingHalted
from src.execution import scalar
from src.execution.ledger import open_accounts
from src.execution.tape import build_tape
from src.trading.records import CALL_FIELDS
from src.trading.session import Session
from src.trading.single_session import SingleSession
from tests.support.random_bars import random_bars
from tests.support.trading_cases import DEAR, daily, flat_candles, rules_of

GRID = [-1.0, -0.5, 0.0, 0.5, 1.0]
RULES = {
    "defaults": rules_of(CostsConfig()),
    "free": rules_of(),
    "dear": rules_of(DEAR),
    "stopped": replace(rules_of(DEAR), stop_loss_frac=0.02),
    "linear": rules_of(DEAR, kind="linear"),
    "guarded": rules_of(
        DEAR,
        RiskConfig(max_exposure=0.8, max_drawdown_frac=0.3, max_daily_loss_frac=0.02),
        reward=RewardConfig(scale=None, drawdown_penalty=0.5, variance_penalty=2.0),
        rebalance_band=0.05,
    ),
    "ruinous": rules_of(DEAR, RiskConfig(maintenance_margin_frac=0.9), reward=RewardConfig(drawdown_penalty=1.0)),
    "position only": replace(rules_of(DEAR), account_inputs=("exposure",)),
    "leveraged": replace(rules_of(CostsConfig()), action=ActionConfig(kind=ActionKind.continuous, max_leverage=4.0)),
}


@pytest.mark.parametrize("sigma", [0.01, 0.1], ids=["calm", "wild"])
@pytest.mark.parametrize("name", RULES)
def test_it_equals_the_session_bit_for_bit(name: str, sigma: float) -> None:
    rules, bars = RULES[name], random_bars(500, seed=5, sigma=sigma)
    tape, rng = build_tape(bars, rules.costs), np.random.default_rng(5)
    session, single = Session(rules, scalar), SingleSession(rules, tape)
    ruined = 0
    for row in range(1, len(bars)):
        if row == 1 or session.accounts.ruined:
            start = open_accounts(scalar, (), 1000.0, tape.close.item(row - 1))
            session.open(start)
            single.open(start)
        target = float(rng.choice(GRID)) * rules.action.max_leverage if rng.random() < 0.3 else session.accounts.target
        hold = rng.random() < 0.1
        decision = session.decide(target, hold)
        assert single.decide(target, hold) == decision
        outcome = session.advance(tape.bar(row))
        values, inputs = single.step(target, row, hold)
        expected = {"decision": decision, **outcome._asdict()}
        call = {name: expected.pop(name) for name in CALL_FIELDS}
        assert values == expected
        assert list(values) == list(expected)
        assert single.calls.get(row) == (call if call["call_units"] or session.accounts.ruined else None)
        assert single.accounts == session.accounts
        np.testing.assert_array_equal(inputs, session.account_inputs())
        np.testing.assert_array_equal(inputs, single.account_inputs())
        assert inputs.dtype == np.float32
        ruined += session.accounts.ruined
    if name in ("ruinous", "leveraged"):
        assert ruined > 0 or sigma < 0.1


def test_an_account_in_ruins_lives_on_flat() -> None:
    rules = rules_of(DEAR)
    bars = daily([*flat_candles(100.0, 100.0), (230, 240, 220, 225), *flat_candles(225.0, 100.0)])
    tape = build_tape(bars, rules.costs)
    single = SingleSession(rules, tape)
    single.open(open_accounts(scalar, (), 1000.0, 100.0))
    lived = [single.step(-1.0, row)[0] for row in range(1, len(bars))]
    assert [values["terminated"] for values in lived] == [False, True, False, False]
    assert lived[1]["equity"] == lived[2]["equity"] == lived[3]["equity"] < 0
    assert [values["decision"] for values in lived] == [-1.0, -1.0, 0.0, 0.0]


@pytest.mark.parametrize("target", [math.nan, math.inf])
def test_a_target_that_is_no_number_halts_trading(target: float) -> None:
    rules = rules_of()
    single = SingleSession(rules, build_tape(daily(flat_candles(100.0, 100.0)), rules.costs))
    single.open(open_accounts(scalar, (), 1000.0, 100.0))
    with pytest.raises(TradingHalted, match="not a finite number"):
        single.step(target, 1)


def test_usual_bars_run_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    rules, bars = rules_of(DEAR), random_bars(50, seed=5)
    single = SingleSession(rules, build_tape(bars, rules.costs))
    single.open(open_accounts(scalar, (), 1000.0, bars.close.item(0)))
    monkeypatch.setattr(Session, "advance", lambda *_: pytest.fail("stepped by the session"))
    for row in range(1, len(bars)):
        single.step(GRID[row % 5], row)
