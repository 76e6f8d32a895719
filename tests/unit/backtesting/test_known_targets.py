"""All bars at once equals bar by bar, to the last bit, and gives way where it cannot."""

from dataclasses import replace

import numpy as np
import pytest

from src.agents.baselines import SeriesAgent, scripted
from src.backtesting.engine import run_backtest
from src.backtesting.known_targets import replay
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RewardConfig, RiskConfig
from src.execution.tape import build_tape
from src.trading.agent import Agent
from src.trading.records import Decision, MarketState
from src.trading.rules import make_rules
from tests.support.random_bars import random_bars

COSTS = CostsConfig(borrow_bps_per_year=5_000.0, financing_bps_per_year=9_000.0, impact=0.1, slippage_volatility=0.1)
PLAIN = make_rules(EnvironmentConfig(), COSTS, RiskConfig(), 0.01)
LEVERAGED = replace(
    PLAIN,
    action=ActionConfig(kind=ActionKind.continuous, max_leverage=3.0),
    reward=RewardConfig(drawdown_penalty=0.5, variance_penalty=0.5),
)
BARS = random_bars(1_500, seed=1, sigma=0.004)
ROWS = range(100, 1_450)


class Shy:
    """Plays a series agent without letting its targets be known ahead."""

    def __init__(self, agent: SeriesAgent) -> None:
        self.name, self.warmup_bars, self.prepare, self._agent = agent.name, agent.warmup_bars, agent.prepare, agent

    def act(self, market_state: MarketState) -> Decision:
        return self._agent.act(market_state)


def jumps(every: int, leverage: float, seed: int = 0) -> np.ndarray:
    """Exposures that hold for about `every` bars."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(-leverage, leverage, len(BARS) + 1)
    return drawn[np.cumsum(rng.random(len(BARS)) < 1 / every)]


@pytest.mark.parametrize("every", [1, 7, 200])
@pytest.mark.parametrize("rules", [PLAIN, LEVERAGED], ids=["plain", "leveraged"])
def test_a_replay_equals_stepping_bit_for_bit(rules, every: int) -> None:
    agent: Agent = scripted(rules, jumps(every, rules.action.max_leverage))
    fast, slow = run_backtest(agent, BARS, rules, ROWS), run_backtest(Shy(agent), BARS, rules, ROWS)
    for name, column in fast.records._asdict().items():
        np.testing.assert_array_equal(column, getattr(slow.records, name), err_msg=name)
        assert column.dtype == getattr(slow.records, name).dtype, name
    np.testing.assert_array_equal(fast.confidence, slow.confidence)
    part = slice(ROWS.start, ROWS.stop)
    proven = replay(rules, build_tape(BARS, rules.costs).at(part), agent.targets[part])
    assert proven is not None
    assert np.count_nonzero(proven.financing) > 100


def test_a_series_that_never_trades_is_replayed() -> None:
    result = run_backtest(scripted(PLAIN, np.zeros(len(BARS))), BARS, PLAIN, ROWS)
    np.testing.assert_array_equal(result.records.equity, PLAIN.initial_equity)


def test_a_margin_call_is_left_to_stepping() -> None:
    wild = random_bars(1_500, seed=1, sigma=0.1)
    agent = scripted(LEVERAGED, jumps(50, 3.0))
    fast, slow = run_backtest(agent, wild, LEVERAGED, ROWS), run_backtest(Shy(agent), wild, LEVERAGED, ROWS)
    assert replay(LEVERAGED, build_tape(wild, COSTS), agent.targets) is None
    assert slow.records.terminated.sum() == 1
    np.testing.assert_array_equal(fast.records.equity, slow.records.equity)


@pytest.mark.parametrize(
    "change",
    [
        {"risk": RiskConfig(max_exposure=0.5)},
        {"risk": RiskConfig(max_drawdown_frac=0.2)},
        {"action": ActionConfig(rebalance_band=0.1)},
    ],
    ids=["exposure cap", "drawdown breaker", "rebalance band"],
)
def test_rules_that_depend_on_the_path_are_left_to_stepping(change: dict) -> None:
    rules = replace(PLAIN, **change)
    assert replay(rules, build_tape(BARS, COSTS), np.ones(len(BARS))) is None
    agent = scripted(rules, np.ones(len(BARS)))
    fast, slow = run_backtest(agent, BARS, rules, ROWS), run_backtest(Shy(agent), BARS, rules, ROWS)
    np.testing.assert_array_equal(fast.records.equity, slow.records.equity)
