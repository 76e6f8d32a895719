"""A recorded stretch of bars, processed by the bot, equals the streaming backtest of the same bars, bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.config.risk import RiskLimits
from src.config.trading import ActionConfig
from tests.support.live_parity import FIRST, assert_equal_to_backtest, lived
from tests.support.live_setup import (
    HOUR_MS,
    LIMITS,
    RULES,
    SYMBOL,
    Chooser,
    Recording,
    model_of,
    paper_trader,
    random_rows,
)

BARS = 160

CASES: dict[str, RiskLimits] = {
    "free": LIMITS,
    "guarded": replace(LIMITS, max_drawdown_frac=0.06, max_daily_loss_frac=0.01),
    "broken": replace(LIMITS, max_drawdown_frac=0.03),
    "patient": replace(LIMITS, cool_down_bars=4),
    "unsure": replace(LIMITS, min_confidence=0.95),
    "capped": replace(LIMITS, max_leverage=0.8, max_position=600.0),
    "jumpy": replace(LIMITS, price_band_frac=0.01),
    "two orders": replace(LIMITS, max_orders_per_hour=2),
    "all at once": replace(
        LIMITS,
        max_leverage=0.7,
        max_daily_loss_frac=0.01,
        price_band_frac=0.01,
        cool_down_bars=2,
        max_orders_per_hour=1,
    ),
}
QUARTERS = ("two orders", "all at once")  # of an hour; an hourly bot never uses up its orders
BITES = {
    "free": set(),
    "guarded": {"daily loss"},
    "broken": {"drawdown"},
    "patient": {"decision filter"},
    "unsure": {"decision filter"},
    "capped": {"caps"},
    "jumpy": {"price band"},
    "two orders": {"orders an hour"},
    "all at once": {"decision filter", "caps", "daily loss", "price band", "orders an hour"},
}


@pytest.mark.parametrize("name", CASES)
def test_the_bot_lives_what_the_backtest_lives(tmp_path: Path, name: str) -> None:
    rows = random_rows(BARS, seed=2, step_ms=HOUR_MS // 4 if name in QUARTERS else HOUR_MS)
    steps = lived(tmp_path, CASES[name], rows)
    fills = sum(step.record["fill_units"] != 0 for step in steps)
    assert fills == 0 if name == "unsure" else fills > 5
    assert assert_equal_to_backtest(steps, CASES[name], rows) == BITES[name]


def test_a_margin_call_on_paper_is_kept_beside_the_order_of_its_bar(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=6)
    time, opened, high, _, close, volume = rows[FIRST + 1]
    rows[FIRST + 1] = (time, opened, high, 0.5 * opened, close, volume)
    limits, action = replace(LIMITS, max_leverage=3.0), ActionConfig(grid=[0.0, 3.0], allow_short=False, max_leverage=3)
    model = model_of(Chooser((3.0,)), replace(RULES, action=action), limits)
    steps = lived(tmp_path, limits, rows[: FIRST + 5], model=model)
    assert_equal_to_backtest(steps, limits, rows[: FIRST + 5], model)
    called = steps[1].record
    assert called["fill_units"] == -called["call_units"] > 0
    assert called["fill_price"] > 1.9 * called["call_price"] > 0
    assert called["terminated"]


def test_restarts_change_nothing(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=3)
    steps = lived(tmp_path, CASES["patient"], rows, restart_every=7)
    assert_equal_to_backtest(steps, CASES["patient"], rows)


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
    assert again.tick() == 0  # what the journal knows is processed already
    steps = again._services.journal.steps(SYMBOL, 0, source.now_ms)
    assert [step.status for step in steps] == ["decided", *["late"] * 5, "decided"]
    assert [step.record["target"] for step in steps] == [1.0] * 6 + [0.0]
    assert steps[1].record["fill_units"] > 0
    assert [step.close_time for step in steps] == [int(row[0]) + HOUR_MS for row in rows[FIRST : FIRST + 7]]
