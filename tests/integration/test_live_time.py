"""Time that passes where none should: a decision is sent fresh or not at all, and the journal says when."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.brokerage import ccxt_account
from src.live.live_guard import RiskState
from tests.support.live_scene import Stage
from tests.support.live_setup import CONFIG, HOUR_MS, SYMBOL

STOPPED_MS = 400_000  # longer than an hour's tenth, in which a candle is decided on


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def stop_in(stage: Stage, owner: Any, name: str, after: bool, stopped_ms: int = STOPPED_MS) -> None:
    """Let the process be stopped once before or after a call, as by SIGSTOP or a laptop that sleeps."""
    call: Callable[..., object] = getattr(owner, name)

    def stopped(*arguments: object) -> object:
        setattr(owner, name, call)
        if not after:
            stage.server.now_ms += stopped_ms
        result = call(*arguments)
        if after:
            stage.server.now_ms += stopped_ms
        return result

    setattr(owner, name, stopped)


STOPS: dict[str, Callable[[Stage], tuple[Any, str, bool]]] = {
    "after the candles are read": lambda stage: (stage.trader._feed, "poll", True),
    "while the model decides": lambda stage: (stage.agent, "act", False),
    "before the decision is recorded": lambda stage: (stage.services.journal, "record_step", False),
    "after the decision is recorded": lambda stage: (stage.services.journal, "record_step", True),
    "after sending is recorded": lambda stage: (stage.services.journal, "mark_sending", True),
}


@pytest.mark.parametrize("name", STOPS)
def test_51_a_bot_that_was_stopped_sends_no_stale_order(tmp_path: Path, name: str) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0]) as stage:
        stop_in(stage, *STOPS[name](stage))
        stage.play(1)
        assert stage.server.account.orders == []
        step = stage.steps()[-1]
        order = stage.services.journal.order_of(SYMBOL, step.close_time)
        if name == "after the candles are read":
            assert (step.status, order) == ("late", None)
            assert step.decided_at - step.close_time > STOPPED_MS
        else:
            assert order is not None
            assert ("refused" if name == "after sending is recorded" else "too late") in str(order.outcome)
        stage.play(1)  # made up for at the next candle
        stage.check()
        assert stage.units() > 9
        assert stage.state is RiskState.ACTIVE


def test_51_the_journal_says_when_an_order_left(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stop_in(stage, stage.agent, "act", after=True, stopped_ms=100_000)
        stage.play(1)
        order = stage.services.journal.order_of(SYMBOL, stage.steps()[-1].close_time)
        assert order is not None
        assert order.sent_at is not None
        assert order.sent_at - order.close_time == 101_000
        assert int(stage.server.posts[0]["timestamp"]) == order.sent_at
        stage.play(1)
        stage.check()


def test_56_a_candle_is_not_decided_on_before_it_has_settled(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0], config=replace(CONFIG, settle_s=1.0)) as stage:
        stage.at_candle(stage.candle + 1, after_ms=200)
        stage.worker.once()
        assert [len(stage.steps()), stage.server.posts] == [1, []]
        row = stage.server.bars[stage.candle]
        stage.server.bars[stage.candle] = (*row[:4], row[3], row[5])  # the exchange corrects it
        stage.restart()
        assert len(stage.steps()) == 1
        stage.server.now_ms += int(stage.worker.once() * 1_000)
        stage.worker.once()
        assert stage.server.now_ms - int(row[0]) - HOUR_MS == pytest.approx(1_050, abs=1)
        assert [step.status for step in stage.steps()] == ["decided", "decided"]
        assert stage.services.journal.bars(SYMBOL, stage.server.now_ms, 1, HOUR_MS)[0].close == row[3]
        assert len(stage.server.posts) == 1


def nothing(reply: object) -> None:
    pass


def test_58_a_clock_that_jumps_while_an_order_is_on_its_way_gives_none_up(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0, 0.0]) as stage:
        stage.server.fates = ["late"]
        place = stage.account.place

        def place_before_the_jump(*arguments: object) -> str:
            stage.account.place = place  # type: ignore[method-assign]
            # The order itself; the question with the wrong time, which is refused; the question that finds nothing yet.
            stage.server.faults["order"] = [nothing, nothing, lambda reply: stage.server.deliver_late()]
            try:
                return place(*arguments)  # type: ignore[arg-type]
            finally:
                stage.clock.skew_ms = 60_000

        stage.account.place = place_before_the_jump  # type: ignore[method-assign]
        stage.play(1, looks=2)
        assert stage.services.journal.unresolved(SYMBOL) == []
        stage.check()
        stage.play(3)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert stage.state is RiskState.ACTIVE


def test_51_slow_answers_about_the_time_close_no_candle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Stage(tmp_path, [1.0, 1.0], config=replace(CONFIG, settle_s=0.0)) as stage:
        source = stage.trader._feed.source
        now = source.now

        def slow() -> int:
            stage.server.now_ms += 3_000
            return now()

        monkeypatch.setattr(source, "now", slow)
        stage.at_candle(stage.candle + 1, -11_000)
        stage.worker.once()
        last = stage.services.journal.last_step(SYMBOL)
        assert last is not None
        assert last.close_time <= stage.server.now_ms
        assert stage.server.posts == []
