"""Fault 91: a champion that goes short, or borrows, is followed on paper as in a backtest, and there only."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from src.config.trading import ActionConfig, CostsConfig
from src.errors import ModelFileError
from src.journal.inspection import status
from src.journal.inspection_text import status_lines
from src.live.bot import Bot, Worker
from src.live.day_replay import replay_day
from src.live.live_guard import LiveGuard
from src.live.live_model import LiveModel, require_long_only
from src.live.operator.by_hand import close_on_paper
from src.live.trader import Trader
from src.live.venues.venue import OrderKind
from src.live.watching.monitor import Monitor
from tests.support.live_parity import FIRST, assert_equal_to_backtest, lived
from tests.support.live_setup import (
    CONFIG,
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
GRID = (-2.0, -1.0, 0.0, 1.0, 2.0)
LEVERED = replace(LIMITS, max_leverage=2.0)
DAY_MS = 24 * HOUR_MS


def margin_model(*targets: float) -> LiveModel:
    costs = CostsConfig(slippage_volatility=0.1, borrow_bps_per_year=900.0, financing_bps_per_year=700.0)
    action = ActionConfig(grid=list(GRID), max_leverage=2.0)
    return model_of(Chooser(targets or GRID), replace(RULES, action=action, costs=costs), LEVERED)


def spiked(rows: list, place: int, factor: float) -> list:
    """Let the price go up to `factor` times the open within one bar, and come back."""
    time, opened, _, low, close, volume = rows[place]
    return [*rows[:place], (time, opened, factor * opened, low, close, volume), *rows[place + 1 :]]


def short_trader(folder: Path, rows: list, candles: int = 3) -> Trader:
    source = Recording(rows)
    source.now_ms = int(rows[FIRST][0]) + HOUR_MS + 1000
    trader = paper_trader(folder, source, margin_model(-1.0), limits=LEVERED)
    trader.start()
    for _ in range(candles - 1):
        source.now_ms += HOUR_MS
        trader.tick()
    return trader


def test_91_shorts_loans_and_their_interest_are_those_of_the_backtest(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=11, sigma=0.002)
    steps = lived(tmp_path, LEVERED, rows, restart_every=9, model=margin_model())
    assert_equal_to_backtest(steps, LEVERED, rows, margin_model())
    held = {round(step.record["target"]) for step in steps}
    assert held == {-2, -1, 0, 1, 2}
    for before, step in pairwise(steps):
        cash, units = before.state["books"]["accounts.cash"], before.record["units"]
        close = before.state["books"]["accounts.last_close"]
        owed = (900 * max(-units, 0) * close + 700 * max(-cash, 0)) * 1e-4 * HOUR_MS / (365.25 * DAY_MS)
        assert step.record["financing"] == pytest.approx(owed, rel=1e-3, abs=1e-12)
    assert sum(step.record["financing"] for step in steps) > 0


@pytest.mark.parametrize("targets", [(-2.0,), (2.0,)])
def test_91_a_margin_call_on_paper_is_that_of_the_backtest_and_is_told(
    tmp_path: Path, targets: tuple[float, ...]
) -> None:
    rows = random_rows(BARS, seed=6)[: FIRST + 8]
    if targets == (-2.0,):
        rows = spiked(rows, FIRST + 3, 1.6)
    else:
        time, opened, high, _, close, volume = rows[FIRST + 3]
        rows[FIRST + 3] = (time, opened, high, 0.45 * opened, close, volume)
    steps = lived(tmp_path / "steps", LEVERED, rows, model=margin_model(*targets))
    assert_equal_to_backtest(steps, LEVERED, rows, margin_model(*targets))
    called = steps[3].record
    assert called["terminated"]
    assert called["call_units"] * targets[0] < 0
    assert [step.record["units"] for step in steps[3:]] == [0.0] * 5
    told: list[str] = []
    source = Recording(rows)
    source.now_ms = int(rows[FIRST][0]) + HOUR_MS + 1000
    (tmp_path / "told").mkdir()
    trader = paper_trader(tmp_path / "told", source, margin_model(*targets), limits=LEVERED)
    trader._services.notifier.error = told.append  # type: ignore[method-assign]
    trader.start()
    source.now_ms += 5 * HOUR_MS
    trader.tick()
    assert any("margin call" in text for text in told)
    found = status(trader._services.journal, SYMBOL)
    assert found is not None
    assert any("margin call" in line for line in status_lines(found))


def test_91_a_day_of_a_margin_account_comes_out_the_same_again(tmp_path: Path) -> None:
    rows = random_rows(BARS, seed=11, sigma=0.002)
    lived(tmp_path, LEVERED, rows, model=margin_model())
    source = Recording(rows)
    journal = paper_trader(tmp_path, source, margin_model(), limits=LEVERED)._services.journal
    day = int(rows[FIRST + 40][0]) // DAY_MS * DAY_MS
    assert replay_day(journal, margin_model(), CONFIG, LEVERED, day, OrderKind.PAPER) == (24, [])


def test_91_a_short_position_is_shown_as_one_and_closed_by_hand(tmp_path: Path) -> None:
    trader = short_trader(tmp_path, random_rows(BARS, seed=3))
    services, units = trader._services, trader.view.units
    assert units < -9
    found = status(services.journal, SYMBOL)
    assert found is not None
    assert any(f"units {units:g} (short), target -1" in line for line in status_lines(found))
    bot = Bot([Worker(trader, services)], services, None)  # type: ignore[arg-type]
    assert f"position {units:g}" in bot.summary(trader.view.last_close - 4 * HOUR_MS)
    metrics = Monitor([trader], CONFIG, is_live=False).metrics().decode()
    assert f'supertrader_units{{symbol="{SYMBOL}"}} {units!r}' in metrics
    source = trader._feed.source
    close_on_paper(LiveGuard(SYMBOL, LEVERED, services.journal), trader.exchange_now())
    assert isinstance(source, Recording)
    for _ in range(2):
        source.now_ms += HOUR_MS
        trader.tick()
    assert trader.view.units == 0.0
    last = trader.last_step()
    assert last is not None
    assert last.record["fill_units"] == pytest.approx(-units)


def test_91_a_position_beyond_what_the_champion_may_have_is_not_ordered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.trading import session

    source = Recording(random_rows(BARS))
    source.now_ms = int(source.rows[FIRST][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source, margin_model(-1.0), limits=LEVERED)
    monkeypatch.setattr(session, "order_units", lambda *arguments: -1e6)
    trader.start()
    last = trader.last_step()
    assert last is not None
    assert any("no order: " in text and "exposures are -2 to 2" in text for text in last.changed)


def test_91_real_orders_are_long_only() -> None:
    with pytest.raises(ModelFileError, match="goes short, and real orders are spot and long only; leave out --live"):
        require_long_only(margin_model())
    long = ActionConfig(grid=[0.0, 1.0, 2.0], allow_short=False, max_leverage=2.0)
    with pytest.raises(ModelFileError, match="exposures up to 2, and real orders reach 1; leave out --live"):
        require_long_only(model_of(rules=replace(RULES, action=long)))
    require_long_only(model_of())


def test_91_a_short_position_is_no_complaint(tmp_path: Path) -> None:
    trader = short_trader(tmp_path, random_rows(BARS, seed=3))
    assert Monitor([trader], CONFIG, is_live=False).complaints() == []
