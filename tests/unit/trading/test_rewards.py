"""Rewards by hand."""

import math
from pathlib import Path

import numpy as np
import pytest

from src.config.trading import CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.errors import ConfigError
from src.execution import scalar
from src.execution.ledger import open_accounts
from src.execution.tape import build_tape
from src.trading.rewards import GROWTH_FLOOR, Reward, linear, log_growth
from src.trading.rules import TradingRules, make_rules
from src.trading.session import Session
from src.trading.single_session import SingleSession
from tests.support.plugin_modules import write_plugin
from tests.support.random_bars import random_bars
from tests.support.trading_cases import FREE, daily, flat_candles, play_one, rules_of


def test_log_growth_is_that_of_equity() -> None:
    assert log_growth(np, np.array([100.0, 80.0]), np.array([110.0, 80.0])) == pytest.approx([math.log(1.1), 0.0])


@pytest.mark.parametrize("equity", [0.5, 0.0, -300.0])
def test_log_growth_has_a_floor(equity: float) -> None:
    assert log_growth(np, np.array([100.0]), np.array([equity])) == pytest.approx([math.log(GROWTH_FLOOR)])


def test_linear_is_exposure_times_return_less_cost_times_change() -> None:
    reward = linear(np, np.array([0.5, 0.0]), np.array([-1.0, 0.0]), 0.02, 0.001)

    assert reward == pytest.approx([-0.02 - 0.0015, 0.0])


def test_linear_reward_of_a_step_is_paid_for_the_change_decided_at_the_bar_before() -> None:
    # The whole cost is 2 + 3 + 5 = 10 basis points of the change.
    rules = rules_of(CostsConfig(2.0, 3.0, 5.0), kind="linear")
    bars = daily(flat_candles(100.0, 110.0, 121.0, 121.0))

    outcomes, _, _ = play_one(rules, bars, [1.0, -0.5, -0.5])

    step = math.log(1.1)
    assert [outcome.reward for outcome in outcomes] == pytest.approx([step - 0.001, -0.5 * step - 0.0015, 0.0])


def test_log_growth_of_a_step_holds_all_costs() -> None:
    outcomes, _, _ = play_one(rules_of(CostsConfig(10.0, 0.0, 0.0)), daily(flat_candles(100.0, 110.0)), [1.0])

    # 10 units at 110, bought and marked there: only the commission of 1.1 is lost.
    assert outcomes[0].reward == pytest.approx(math.log(998.9 / 1000.0), rel=1e-12)


def test_rewards_are_scaled_by_one_over_bar_volatility_unless_told() -> None:
    bars = daily(flat_candles(100.0, 100.0, 103.0))
    own = rules_of(reward=RewardConfig(scale=None))  # the rules' bar volatility is 1 %

    (_, plain), _, _ = play_one(rules_of(), bars, [1.0, 1.0])
    (_, scaled), _, _ = play_one(own, bars, [1.0, 1.0])

    assert plain.reward == pytest.approx(math.log(1.03))
    assert scaled.reward == pytest.approx(100.0 * math.log(1.03))


def test_variance_penalty_is_half_its_weight_times_the_squared_reward() -> None:
    rules = rules_of(reward=RewardConfig(scale=1.0, variance_penalty=3.0))
    (_, outcome), _, _ = play_one(rules, daily(flat_candles(100.0, 100.0, 90.0)), [1.0, 1.0])

    growth = math.log(0.9)
    assert outcome.reward == pytest.approx(growth - 1.5 * growth**2, rel=1e-12)


def test_drawdown_penalty_charges_each_new_depth_once() -> None:
    rules = rules_of(reward=RewardConfig(scale=1.0, drawdown_penalty=2.0))
    bars = daily(flat_candles(100.0, 100.0, 90.0, 95.0, 90.0, 80.0))

    outcomes, _, _ = play_one(rules, bars, [1.0] * 5)

    moves = (0.9, 95 / 90, 90 / 95, 80 / 90)
    extra = [outcome.reward - math.log(move) for outcome, move in zip(outcomes[1:], moves, strict=True)]
    assert extra == pytest.approx([-2 * 0.1, 0.0, -2 * 0.05, -2 * 0.1], abs=1e-12)


def test_the_bar_takes_the_place_of_accounts_in_linear_reward() -> None:
    # Accounts (2, 3) on two bars (2, 1): the reward broadcasts.
    rules = rules_of(FREE, kind="linear")
    tape = build_tape(daily(flat_candles(100.0, 110.0, 99.0)), FREE).at(np.array([[1], [2]]))
    accounts = open_accounts(np, (2, 3), 1000.0, 100.0)
    target = np.array([[0.0, 0.5, 1.0]] * 2)

    reward = Reward(rules, np)(accounts, accounts, target, tape)

    assert reward == pytest.approx(np.outer([math.log(1.1), math.log(0.9)], [0.0, 0.5, 1.0]))


# Rewards of the user's own.

PLUGGED_IN = """
from src.trading.rewards import RewardFormula
def mine(xp, before, after, target, bar, rules):
    return {formula}
MINE = RewardFormula("mine", mine)
"""


def plugged(folder: Path, monkeypatch: pytest.MonkeyPatch, formula: str, **settings: float) -> TradingRules:
    module = write_plugin(folder, monkeypatch, "mine", PLUGGED_IN.format(formula=formula))
    environment = EnvironmentConfig(reward=RewardConfig("mine", **settings))
    return make_rules(environment, FREE, RiskConfig(), 0.01, [module])


def test_a_plugged_in_reward_takes_penalties_and_scale_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formula = "after.equity / before.equity - 1.0 - 0.1 * xp.abs(target)"
    rules = plugged(tmp_path, monkeypatch, formula, scale=10.0, drawdown_penalty=2.0)
    outcomes, _, _ = play_one(rules, daily(flat_candles(100.0, 100.0, 90.0)), [1.0, 1.0])
    assert outcomes[1].reward == pytest.approx(10 * (-0.1 - 0.1 - 2 * 0.1))
    again = TradingRules.from_plain(rules.to_plain())
    assert again == rules
    assert len(rules.plugins) == 1


def test_a_compiled_account_earns_a_plugged_in_reward_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formula = "xp.where(after.equity > before.equity, 0.3, 0.7) * xp.log(xp.maximum(after.equity / before.equity, 0.1))"
    rules, bars = plugged(tmp_path, monkeypatch, formula), random_bars(200)
    tape = build_tape(bars, FREE)
    session, single = Session(rules, np), SingleSession(rules, tape)
    session.open(open_accounts(np, (1,), 1000.0, tape.close[0]))
    single.open(open_accounts(scalar, (), 1000.0, tape.close.item(0)))
    for row in range(1, 200):
        target = (-1.0, 0.0, 0.5, 1.0)[row % 4]
        session.decide(np.array([target]))
        assert single.step(target, row)[0]["reward"] == session.advance(tape.at(row)).reward[0]


def test_rules_keep_no_plug_in_they_do_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = write_plugin(tmp_path, monkeypatch, "mine", PLUGGED_IN.format(formula="target"))
    assert make_rules(EnvironmentConfig(), FREE, RiskConfig(), 0.01, [module]).plugins == ()


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("xp.log(after.equity / before.equity)", r"reward 'mine' is -inf where 1000 became 0; bound it"),
        ("1.0 if after.equity > 0 else 0.0", r"reward 'mine' cannot be computed \(ValueError: .*do not branch"),
        ("xp.exp(after.equity * 0.0)", r"reward 'mine' cannot be computed \(AttributeError: .*'exp'\); use"),
        ("after.equity.mean()", r"reward 'mine' cannot be computed \(AttributeError: .*'mean'\); use"),
        ("1.0", r"reward 'mine' has shape \(\) for accounts of shape \(7,\)"),
        ("after.no_such_field", r"reward 'mine' cannot be computed \(AttributeError: .*no_such_field"),
        (
            "target * 0.1 if xp.__name__ == 'numpy' else target * 0.2",
            r"became 1500, and 0\.2 for one account",
        ),
    ],
)
def test_a_plugged_in_reward_is_checked_before_it_is_earned(
    formula: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=says):
        Session(plugged(tmp_path, monkeypatch, formula))


def test_an_unknown_reward_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"environment\.reward\.kind 'liner' is unknown; did you mean 'linear'"):
        Session(rules_of(FREE, kind="liner"))
