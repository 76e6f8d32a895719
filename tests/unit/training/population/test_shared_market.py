"""Series that are learned from beside the real one cost what they are said to cost."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.stages.adversary import AdversaryConfig
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.trading import CostsConfig
from src.execution.costs import trading_cost_frac
from src.execution.tape import build_tape
from src.models.position_grid import linear_terms
from src.training.population.shared_market import with_higher_costs
from tests.support.random_bars import random_bars
from tests.support.trading_cases import DEAR, FREE, play_one, rules_of

BARS = random_bars(200, seed=5)
COMMISSION = replace(FREE, commission_bps=100.0)


@pytest.mark.parametrize("costs", [COMMISSION, DEAR, FREE], ids=["commission", "everything", "nothing"])
def test_a_series_at_twice_the_costs_is_learned_from_at_twice_the_costs(costs: CostsConfig) -> None:
    # The rules of a run hold one commission for all series; the tape of a series holds the rest.
    rules = rules_of(costs)
    usual, doubled = (linear_terms(build_tape(BARS, one), rules)[1] for one in (costs, with_higher_costs(costs, 2.0)))
    np.testing.assert_allclose(doubled, 2 * usual, rtol=1e-6)


def test_costs_of_the_same_factor_are_the_same_costs() -> None:
    assert with_higher_costs(DEAR, 1.0) == DEAR
    assert trading_cost_frac(with_higher_costs(DEAR, 1.5)) == pytest.approx(1.5 * trading_cost_frac(DEAR))


def test_a_backtest_at_twice_the_costs_pays_twice_as_much() -> None:
    def paid(costs: CostsConfig) -> float:
        targets = np.where(np.arange(len(BARS)) % 10 < 5, 1.0, -1.0)
        outcomes, _, _ = play_one(rules_of(costs), BARS, targets[:-1].tolist())
        return float(sum(one.commission + one.spread + one.slippage for one in outcomes))

    cheap = replace(FREE, commission_bps=0.1)  # so little that equity, and with it what is traded, stays the same
    assert paid(with_higher_costs(cheap, 2.0)) == pytest.approx(2 * paid(cheap), rel=1e-2)


def test_members_see_costs_where_costs_vary() -> None:
    assert AutonomousStageConfig(stressed=1).varies_costs
    assert not AutonomousStageConfig(stressed=0).varies_costs
    assert not AutonomousStageConfig(stressed=1, adversary=AdversaryConfig(box={"tilt": [-0.1, 0.1]})).varies_costs
