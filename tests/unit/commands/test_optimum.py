"""How much of a known optimum was reached is said where it is known, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from src.commands.optimum import optimum_of
from src.config.trading import ActionConfig, ActionKind, EnvironmentConfig, RiskConfig
from src.market.bars import BarSeries
from src.market.synthetic.known_markets import generate, market_costs
from src.market.synthetic.optimal_policy import optimal_gain, optimal_targets
from src.trading.rules import TradingRules, make_rules

ROWS = range(1_000, 30_000)


def drawn(market: str) -> BarSeries:
    return generate(market, 30_000, np.random.default_rng(3))


def rules_of(market: str) -> TradingRules:
    environment = EnvironmentConfig(action=ActionConfig(grid=[-1.0, 0.0, 1.0]))
    return make_rules(environment, market_costs(market), RiskConfig(), bar_volatility=0.01)


@pytest.mark.parametrize("market", ["A", "A4", "B2"])
def test_the_optimal_policy_reaches_all_of_it_and_a_flat_account_nothing(market: str) -> None:
    bars = drawn(market)
    best = optimal_targets(market, bars)[ROWS.start : ROWS.stop]
    found = optimum_of(bars, ROWS, rules_of(market), best)
    assert found is not None
    assert found.reached == pytest.approx(1.0)
    assert found.best_bps == pytest.approx(1e4 * optimal_gain(market), rel=0.4)  # of a path of finite length
    idle = optimum_of(bars, ROWS, rules_of(market), np.zeros(len(ROWS)))
    assert idle is not None
    assert idle.reached == 0.0
    assert idle.sentence.startswith("Reached 0.00 of the optimum: 0.00 bps a bar after costs")


def test_where_it_is_best_not_to_trade_no_fraction_is_said() -> None:
    found = optimum_of(drawn("C"), ROWS, rules_of("C"), np.ones(len(ROWS)))
    assert found is not None
    assert found.reached is None
    assert "earns nothing on these bars" in found.sentence


def test_no_optimum_is_known_of_other_costs_bounds_or_bars() -> None:
    bars, rules, flat = drawn("A4"), rules_of("A4"), np.zeros(len(ROWS))
    dearer = replace(rules, costs=replace(rules.costs, commission_bps=101.0))
    leveraged = replace(rules, action=ActionConfig(kind=ActionKind.continuous, max_leverage=2.0))
    later = bars[1:]
    assert optimum_of(bars, ROWS, dearer, flat) is None
    assert optimum_of(bars, ROWS, leveraged, flat) is None
    assert optimum_of(replace(bars, symbol="SP500"), ROWS, rules, flat) is None
    assert optimum_of(later, range(1_000, 2_000), rules, flat[:1_000]) is None
