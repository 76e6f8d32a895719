"""Account inputs: by hand, bounded, and free of scale."""

from typing import Any

import numpy as np
import pytest

from src.config.trading import ACCOUNT_INPUTS, CostsConfig, EnvironmentConfig, RiskConfig
from src.execution.ledger import Accounts, open_accounts
from src.trading.account_inputs import COLUMNS, account_inputs
from src.trading.rules import make_rules
from tests.support.random_bars import random_bars
from tests.support.trading_cases import DEAR, play_one, rules_of


def accounts_with(count: int = 1, **columns: Any) -> Accounts:
    fresh = open_accounts(np, (count,), 1000.0, 100.0)
    return fresh._replace(**{name: np.asarray(value, dtype=np.float64) for name, value in columns.items()})


def test_every_named_input_exists() -> None:
    assert tuple(COLUMNS) == ACCOUNT_INPUTS


def test_a_fresh_account_reads_zero() -> None:
    assert account_inputs(np, open_accounts(np, (2,), 1000.0, 100.0), rules_of()).tolist() == [[0.0] * 4] * 2


@pytest.mark.parametrize(
    ("units", "entry_value", "expected"),
    [
        # Bar volatility is 1 %, so a return of 8 % reads one half and one of 24 % three quarters; the price is 100.
        (10.0, 1000.0 / 1.08, 0.5),
        (10.0, 1000.0 / 0.92, -0.5),
        (-10.0, -1000.0 / 1.08, -0.5),
        (-10.0, -1000.0 / 0.92, 0.5),
        (1e-6, 1e-4 / 1.24, 0.75),
        (0.0, 0.0, 0.0),
    ],
)
def test_trade_return_is_in_bar_volatilities_since_entry(units: float, entry_value: float, expected: float) -> None:
    accounts = accounts_with(units=[units], entry_value=[entry_value])

    assert account_inputs(np, accounts, rules_of())[0, 1] == pytest.approx(expected, rel=1e-6)


def test_drawdown_bars_in_trade_and_position() -> None:
    accounts = accounts_with(
        3, equity=[750.0, 1000.0, -50.0], peak_equity=[1000.0] * 3, bars_in_trade=[32.0, 96.0, 0.0], target=[-1, 2, 0]
    )

    inputs = account_inputs(np, accounts, rules_of(grid=[-2.0, 0.0, 2.0], max_leverage=2.0))

    assert inputs[:, 0].tolist() == [-0.5, 1.0, 0.0]
    assert inputs[:, 2].tolist() == [0.25, 0.0, 1.0]  # a debt is no more than everything lost
    assert inputs[:, 3].tolist() == [0.5, 0.75, 0.0]


def test_columns_come_in_the_order_of_the_rules() -> None:
    environment = EnvironmentConfig(account_inputs=["drawdown", "exposure"])
    rules = make_rules(environment, CostsConfig(), RiskConfig(), 0.01)
    accounts = accounts_with(equity=[600.0], target=[0.5])

    inputs = account_inputs(np, accounts, rules)

    assert inputs.tolist() == [[np.float32(0.4), 0.5]]
    assert inputs.dtype == np.float32


def test_inputs_stay_within_bounds_on_a_wild_market() -> None:
    rng = np.random.default_rng(0)

    for seed in range(5):
        targets = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=199).tolist()
        _, states, session = play_one(rules_of(DEAR), random_bars(200, seed, sigma=0.3), targets)
        inputs = np.array([account_inputs(np, state, session.rules) for state in states])
        assert np.isfinite(inputs).all()
        assert np.abs(inputs).max() <= 1.0
        assert (inputs[:, 2:] >= 0.0).all()


def test_inputs_do_not_know_the_currency_or_the_size_of_the_account() -> None:
    steps = random_bars(50, seed=3), random_bars(50, seed=3, first_price=100.0 * 1024)
    targets = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], size=49).tolist()

    small, large = (
        np.array([account_inputs(np, state, rules) for state in play_one(rules, bars, targets)[1]])
        for bars, rules in zip(steps, (rules_of(equity=1000.0), rules_of(equity=1e9)), strict=True)
    )

    assert small == pytest.approx(large, rel=1e-5, abs=1e-6)
