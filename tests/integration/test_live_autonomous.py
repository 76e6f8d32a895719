"""A champion of the Autonomous stage in the live bot: loaded, traded on paper, explained, and equal to its backtest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.model_file import model_path, save_model
from src.agents.registry import agent_from_file
from src.agents.streaming_agent import StreamingAgent
from src.backtesting.engine import run_backtest
from src.journal.inspection import decision_at
from src.journal.inspection_text import trace_lines
from src.journal.journal import Journal
from src.journal.schema import DECISION_NEEDS
from src.live.day_replay import replay_day
from src.live.live_model import LiveModel, load_champion
from src.live.venues.venue import OrderKind
from src.market.bars import BarSeries
from src.trading.records import StepRecord
from tests.support.live_autonomous import autonomous_champion
from tests.support.live_setup import CONFIG, HOUR_MS, LIMITS, SYMBOL, Recording, bars_of, paper_trader, random_rows

DAY_MS, CANDLES = 24 * HOUR_MS, 50


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LiveModel:
    folder = tmp_path_factory.mktemp("champion")
    save_model(model_path(SYMBOL, "autonomous_final", folder), autonomous_champion(folder))
    return load_champion(SYMBOL, folder, LIMITS, 1000.0)


@pytest.fixture(scope="module")
def lived(model: LiveModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Journal, list, int]:
    first = model.agent.history_bars
    rows = random_rows(first + CANDLES, seed=2)
    source = Recording(rows)
    source.now_ms = int(rows[first][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path_factory.mktemp("state"), source, model)
    trader.start()
    for row in rows[first + 1 :]:
        source.now_ms = int(row[0]) + HOUR_MS + 1000
        trader.tick()
    return trader._services.journal, rows, first


def test_the_bot_lives_what_the_streamed_backtest_lives(model: LiveModel, lived: tuple[Journal, list, int]) -> None:
    journal, rows, first = lived
    records = [StepRecord(**step.record) for step in journal.steps(SYMBOL, 0, int(rows[-1][0]) + DAY_MS)]
    assert len({record.target for record in records}) > 1
    bars = BarSeries.of(SYMBOL, "1h", bars_of(rows))
    expected = run_backtest(model.agent, bars, model.rules, range(first, len(rows)), LIMITS).records
    for name in StepRecord._fields:
        got = np.array([getattr(record, name) for record in records])
        np.testing.assert_array_equal(got, getattr(expected, name), err_msg=name)


def test_a_recorded_day_is_replayed_without_a_difference(model: LiveModel, lived: tuple[Journal, list, int]) -> None:
    journal, rows, first = lived
    day = (int(rows[first][0]) // DAY_MS + 1) * DAY_MS
    count, differences = replay_day(journal, model, CONFIG, LIMITS, day, OrderKind.PAPER)
    assert count == 24
    assert differences == []


def test_explain_tells_what_every_part_said(lived: tuple[Journal, list, int]) -> None:
    journal, rows, _ = lived
    found = decision_at(journal, SYMBOL, int(rows[-1][0]) + HOUR_MS)
    assert found is not None
    told = "\n".join(trace_lines(found))
    for word in ("features", "regime", "pattern", "memories", "imagined", "wanted", "decided", "sent"):
        assert f"\n  {word}" in told, told


def test_the_last_bar_alone_is_what_the_whole_window_says(model: LiveModel, tmp_path: Path) -> None:
    bars = BarSeries.of(SYMBOL, "1h", bars_of(random_rows(model.agent.history_bars + 5, seed=7)))
    agent = agent_from_file(autonomous_champion(tmp_path))
    assert isinstance(agent, AutonomousAgent)
    assert agent.mind.active == {"regime", "pattern", "memory"}
    np.testing.assert_allclose(agent.mind.latest(bars), agent.mind.transform(bars)[-1], rtol=0, atol=1e-6)
    agent.prepare(bars)
    market = agent._market[-1].copy()
    agent.prepare_last(bars)
    np.testing.assert_allclose(agent._market[-1], market, rtol=0, atol=1e-5)
    assert StreamingAgent(agent).history_bars == agent.history_bars


def test_an_explanation_that_a_kill_left_out_is_made_up_for_to_the_last_bit(model: LiveModel, tmp_path: Path) -> None:
    first = model.agent.history_bars
    source = Recording(random_rows(first + 2, seed=2))
    source.now_ms = int(source.rows[first][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source, model)
    trader.start()
    step = trader.last_step()
    assert step is not None
    assert {"features", "regime", "memories", "imagined"} <= step.saw.keys()
    trader._services.journal.explain_step(replace(step, saw={name: step.saw[name] for name in DECISION_NEEDS}))
    trader._services.journal.close()
    again = paper_trader(tmp_path, source, model)
    again.start()
    assert again.last_step() == step
