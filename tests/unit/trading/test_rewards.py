"""Rewards by hand."""

import math

import numpy as np
import pytest

from src.config.trading import CostsConfig, RewardConfig
from src.execution.ledger import open_accounts
from src.execution.tape import build_tape
from src.trading.rewards import GROWTH_FLOOR, Reward, linear, log_growth
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
