"""A recorded stretch of bars, lived through by the bot, equals the streaming backtest of the same bars, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.agents.decision_filter import PatientAgent
from src.backtesting.engine import run_backtest
from src.config.risk import RiskLimits
from src.live.candle_feed import series_of
from src.live.trader import TAPE_BARS
from src.trading.records import StepRecord
from tests.support.live_setup import HOUR_MS, LIMITS, SYMBOL, Chooser, Recording, model_of, paper_trader, random_rows

BARS = 160
FIRST = TAPE_BARS - 1  # the bot waits until costs are known as in a long series

CASES: dict[str, RiskLimits] = {
    "free": LIMITS,
    "guarded": replace(LIMITS, max_drawdown_frac=0.06, max_daily_loss_frac=0.01),
    "patient": replace(LIMITS, cool_down_bars=4),
    "unsure": replace(LIMITS, min_confidence=0.95),
}


def lived(folder: Path, limits: RiskLimits, rows: list, restart_every: int = 0) -> list[StepRecord]:
    folder.mkdir(exist_ok=True)
    source = Recording(rows)
    trader = None
    for index in range(FIRST, len(rows)):
        source.now_ms = int(rows[index][0]) + HOUR_MS + 1000
        if trader is None or (restart_every and index % restart_every == 0):
            trader = paper_trader(folder, source, limits=limits)
            trader.start()
        trader.tick()
    assert trader is not None
    steps = trader._services.journal.steps(SYMBOL, 0, source.now_ms)
    return [StepRecord(**step.record) for step in steps]


def assert_equal_to_backtest(records: list[StepRecord], limits: RiskLimits, rows: list) -> None:
    model = model_of(limits=limits)
    agent = PatientAgent(model.agent, limits.min_confidence, limits.cool_down_bars)
    bars = series_of(SYMBOL, "1h", rows)
    expected = run_backtest(agent, bars, model.rules, range(FIRST, len(rows))).records
    for name in StepRecord._fields:
        got = np.array([getattr(record, name) for record in records])
        np.testing.assert_array_equal(got, getattr(expected, name), err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_the_bot_lives_what_the_backtest_lives(tmp_path: Path, name: str) -> None:
    rows = random_rows(BARS, seed=2)
    records = lived(tmp_path, CASES[name], rows)
    fills = sum(record.fill_units != 0 for record in records)
    assert fills == 0 if name == "unsure" else fills > 5
    assert_equal_to_backtest(records, CASES[name], rows)


def test_restarts_change_nothing(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=3)
    records = lived(tmp_path, CASES["patient"], rows, restart_every=7)
    assert_equal_to_backtest(records, CASES["patient"], rows)


def test_changing_a_bar_after_t_changes_no_step_up_to_t(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=4)
    other = [*rows[:120], *[(row[0], *(2 * value for value in row[1:])) for row in rows[120:]]]
    known, changed = (lived(tmp_path / str(i), LIMITS, each) for i, each in enumerate((rows, other)))
    assert known[: 120 - FIRST] == changed[: 120 - FIRST]
    assert known[120 - FIRST :] != changed[120 - FIRST :]


def test_bars_missed_while_away_are_lived_through_with_the_position_held(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=5)
    source = Recording(rows)
    source.now_ms = int(rows[FIRST][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source, model_of(Chooser((1.0,))))
    trader.start()
    source.now_ms += 6 * HOUR_MS
    again = paper_trader(tmp_path, source, model_of(Chooser((0.0,))))
    assert again.start() == 6
    assert again.tick() == 0  # what the journal knows is lived through already
    steps = again._services.journal.steps(SYMBOL, 0, source.now_ms)
    assert [step.status for step in steps] == ["decided", *["late"] * 5, "decided"]
    assert [step.record["target"] for step in steps] == [1.0] * 6 + [0.0]
    assert steps[1].record["fill_units"] > 0
    assert [step.close_time for step in steps] == [int(row[0]) + HOUR_MS for row in rows[FIRST : FIRST + 7]]
