"""No backtest lets a decision rest on a later bar: cheats are caught, or never handed what they would look at."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from src.agents.baselines import BASELINES, SeriesAgent, make_baseline
from src.agents.policy_agent import PolicyAgent
from src.agents.registry import agent_from_file
from src.backtesting.causality import without_look_ahead
from src.backtesting.engine import run_backtest
from src.config.trading import ActionConfig, ActionKind, CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import LookaheadError
from src.market.bars import BarSeries, FloatArray
from src.trading.records import Decision, MarketState
from src.trading.rules import make_rules
from src.training.training_data import prepare_data
from tests.support.backtest_setup import CONFIG, make_file, make_mixture
from tests.support.random_bars import random_bars

RULES = make_rules(
    EnvironmentConfig(action=ActionConfig(kind=ActionKind.continuous)), CostsConfig(), RiskConfig(), 0.01
)
ROWS = range(100, 500)


def with_gaps(bars: BarSeries) -> BarSeries:
    """Bars that open apart from the close before."""
    opened = bars.open * np.exp(np.random.default_rng(2).normal(0.0, 0.002, len(bars)))
    high, low = np.maximum(bars.high, opened), np.minimum(bars.low, opened)
    return BarSeries(bars.symbol, bars.timeframe, bars.open_time, opened, high, low, bars.close, bars.volume)


BARS = with_gaps(random_bars(600, seed=1))
Look = Callable[[BarSeries], FloatArray]


def next_move(bars: BarSeries) -> FloatArray:
    """One bar ahead; the last bar has no next one."""
    return np.sign(np.append(np.diff(bars.close), 0.0))


def next_gap(bars: BarSeries) -> FloatArray:
    return np.sign(np.append(bars.open[1:], bars.close[-1:]) - bars.close)


def above_mean(bars: BarSeries) -> FloatArray:
    """Against the mean of the whole sample."""
    return np.sign(bars.close - bars.close.mean())


def scaled(bars: BarSeries) -> FloatArray:
    """Numbers scaled by the whole sample."""
    moves = bars.log_returns
    return np.clip((moves - moves.mean()) / moves.std() / 5.0, -1.0, 1.0)


def rare_event(bars: BarSeries) -> FloatArray:
    """Looks ahead on one bar in fifty."""
    return np.where(np.arange(len(bars)) % 50 == 7, next_move(bars), 0.0)


def smooth(bars: BarSeries) -> FloatArray:
    """Of a centred window."""
    return np.sign(np.convolve(bars.log_returns, np.ones(9), mode="same"))


def far_ahead(bars: BarSeries) -> FloatArray:
    return np.sign(np.append(bars.close[12:], np.full(12, bars.close[-1])) - bars.close)


def calendar(bars: BarSeries) -> FloatArray:
    """How far through the sample a bar is."""
    return np.arange(len(bars)) / len(bars)


def past_move(bars: BarSeries) -> FloatArray:
    return np.sign(bars.log_returns)


def past_mean(bars: BarSeries) -> FloatArray:
    return np.sign(bars.close - np.cumsum(bars.close) / np.arange(1, len(bars) + 1))


def distance(bars: BarSeries) -> FloatArray:
    return np.clip(bars.close / np.maximum.accumulate(bars.high) - 1.0, -1.0, 0.0)


CHEATS: tuple[Look, ...] = (next_move, next_gap, above_mean, scaled, smooth, far_ahead, calendar)


class Ahead:
    """Prepares a whole series at once and says so, as trained policies do."""

    warmup_bars = 0

    def __init__(self, look: Look, history_bars: int = 100) -> None:
        self.name, self._look, self.history_bars = look.__name__, look, history_bars

    def prepare(self, bars: BarSeries) -> None:
        self.made = self._look(bars)

    def prepared(self, row: int) -> FloatArray:
        return self.made[row : row + 1]

    def act(self, market_state: MarketState) -> Decision:
        return Decision(self.prepared(market_state.row), np.ones(1))


class Keeps:
    """Keeps the bars it is handed and decides from them, one decision at a time; says nothing of preparing ahead."""

    warmup_bars = 0

    def __init__(self, decide: Callable[[BarSeries, int], float], history_bars: int | None = None) -> None:
        self.name, self._decide, self.handed = "keeps", decide, []
        if history_bars is not None:
            self.history_bars = history_bars

    def prepare(self, bars: BarSeries) -> None:
        self._bars = bars
        self.handed.append(int(bars.close_time[-1]))

    def act(self, market_state: MarketState) -> Decision:
        assert self._bars.close_time[market_state.row] == market_state.close_time
        return Decision(np.array([self._decide(self._bars, market_state.row)]), np.ones(1))


@pytest.mark.parametrize("look", CHEATS, ids=lambda look: look.__name__)
def test_an_agent_that_prepares_ahead_and_looks_ahead_is_refused(look: Look) -> None:
    with pytest.raises(LookaheadError, match=rf"^{look.__name__} looks ahead: what it makes of row \d+ of TEST"):
        run_backtest(Ahead(look), BARS, RULES, ROWS)


def test_an_agent_that_shows_no_later_bar_but_decides_from_one_is_refused() -> None:
    class Sly(Ahead):
        def prepare(self, bars: BarSeries) -> None:
            super().prepare(bars)
            self._next = next_move(bars)

        def act(self, market_state: MarketState) -> Decision:
            return Decision(self._next[market_state.row : market_state.row + 1], np.ones(1))

    with pytest.raises(LookaheadError, match="past_move looks ahead"):
        run_backtest(Sly(past_move), BARS, RULES, ROWS)


@pytest.mark.parametrize("look", [*CHEATS, rare_event], ids=lambda look: look.__name__)
def test_a_target_series_that_looks_ahead_is_refused(look: Look) -> None:
    with pytest.raises(LookaheadError, match=rf"^{look.__name__} looks ahead: row \d+ "):
        run_backtest(SeriesAgent(look.__name__, RULES.action, look), BARS, RULES, ROWS)


@pytest.mark.parametrize("look", [past_move, past_mean])
def test_what_looks_back_passes_and_lives_the_same_as_unproved(look: Look) -> None:
    for agent in (Ahead(look, history_bars=len(BARS)), SeriesAgent(look.__name__, RULES.action, look)):
        proved, free = (run_backtest(agent, BARS, RULES, ROWS, prove=prove) for prove in (True, False))
        np.testing.assert_array_equal(proved.records.equity, free.records.equity)
        assert np.count_nonzero(proved.records.fill_units) > 10


def test_a_history_that_is_longer_than_said_is_refused() -> None:
    with pytest.raises(LookaheadError, match="distance looks ahead"):
        run_backtest(Ahead(distance, history_bars=50), BARS, RULES, ROWS)
    run_backtest(Ahead(distance, history_bars=len(BARS)), BARS, RULES, ROWS)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_pass(name: str) -> None:
    run_backtest(make_baseline(name, RULES), BARS, RULES, ROWS)


@pytest.mark.parametrize("kind", ["ppo", "moe"])
def test_trained_policies_pass_and_one_that_peeks_does_not(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, file = prepare_data(CONFIG), make_file("stage_1_ppo")
    if kind == "moe":
        model = make_mixture(experts=2)
        file = replace(file, kind="moe", model=model.describe(), weights=model.state_dict())
    agent = agent_from_file(file)
    rows = data.splits.test
    proved, free = (run_backtest(agent, data.bars, data.rules, rows, prove=prove) for prove in (True, False))
    for name, column in proved.records._asdict().items():
        np.testing.assert_array_equal(column, getattr(free.records, name), err_msg=name)
    honest = type(agent._pipeline).transform

    def peeking(self: object, bars: BarSeries) -> np.ndarray:
        seen = honest(self, bars).copy()  # type: ignore[arg-type]
        seen[:-1, 0] = seen[1:, 0]
        return seen

    monkeypatch.setattr(type(agent._pipeline), "transform", peeking)
    assert isinstance(agent, PolicyAgent)
    with pytest.raises(LookaheadError, match="looks ahead: what it makes of row"):
        run_backtest(agent, data.bars, data.rules, rows)


@pytest.mark.parametrize("history_bars", [None, 5])
def test_an_agent_that_does_not_prepare_ahead_is_handed_no_later_bar(history_bars: int | None) -> None:
    agent = Keeps(lambda bars, row: float(np.sign(bars.close[row] - bars.close.mean())), history_bars)
    result = run_backtest(agent, BARS, RULES, ROWS)
    assert agent.handed == BARS.close_time[ROWS.start : ROWS.stop].tolist()
    means = [BARS.close[row + 1 - (history_bars or row + 1) : row + 1].mean() for row in ROWS]
    np.testing.assert_array_equal(result.records.target, np.sign(BARS.close[ROWS.start : ROWS.stop] - means))


def test_an_agent_that_asks_for_a_later_bar_is_told_so() -> None:
    agent = Keeps(lambda bars, row: float(np.sign(bars.close[row + 1] - bars.close[row])))
    with pytest.raises(LookaheadError, match="keeps fails at row 100 of TEST, where it is handed the 101 bars up to"):
        run_backtest(agent, BARS, RULES, ROWS)


def test_the_agent_is_left_prepared_for_the_series_that_is_traded() -> None:
    agent = Ahead(past_move)
    assert without_look_ahead(agent, BARS, ROWS, 4) is agent
    np.testing.assert_array_equal(agent.made, past_move(BARS))
