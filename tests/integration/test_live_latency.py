"""What stands between a closed candle and its order: nothing that the order does not need."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.brokerage import ccxt_account
from src.journal.inspection import decision_at
from src.journal.inspection_text import trace_lines
from src.live.day_replay import replay_day
from src.live.live_guard import LiveGuard, RiskState
from src.live.live_model import LiveModel
from src.live.operator.by_hand import close_at_exchange
from src.live.trader import AHEAD_MS
from src.live.venues.venue import OrderKind
from src.trading.records import MarketState
from tests.support.fakes.exchange_server import Reply, rows
from tests.support.live_scene import FATES, FromFirst, Stage
from tests.support.live_setup import CONFIG, LIMITS, SYMBOL, model_of

DAY_MS = 86_400_000
# What may become of an order, as far as the journal has to find out.
UNKNOWN = [name for name in FATES if name[0] in "23456" and "status 50" not in name] + ["6 status 503 after accept"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


class Killed(BaseException):
    """Ends a bot where it stands."""


class Explaining(FromFirst):
    """Tells the price and its account; remembers how many orders had been sent when it was asked."""

    stage: Stage

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        self.posts = len(self.stage.server.posts)
        account = market_state.account[0].tolist()
        return {"features": {"close": float(self._bars.close[market_state.row])}, "account": account}


def explaining(folder: Path, targets: list[float]) -> Stage:
    agent = Explaining(targets)
    agent.stage = Stage(folder, agent=agent)
    return agent.stage


def killed_while_sending(stage: Stage) -> None:
    def send(*_: object) -> str:
        raise Killed

    stage.trader.venue.send = send  # type: ignore[method-assign]
    with pytest.raises(Killed):
        stage.play(1)


def why(stage: Stage) -> list[str]:
    found = decision_at(stage.services.journal, SYMBOL, stage.server.now_ms)
    assert found is not None
    return [line for line in trace_lines(found) if line.startswith("  why")]


def test_an_order_leaves_before_its_decision_is_explained(tmp_path: Path) -> None:
    with explaining(tmp_path, [1.0, 0.0]) as stage:
        stage.play(1)
        assert len(stage.server.posts) == stage.agent.posts == 1
        step = stage.steps()[-1]
        assert step.saw["features"] == {"close": stage.server.bars[stage.candle][4]}
        assert step.saw["account"] == step.saw["inputs"]
        assert why(stage) == []


def test_99_a_kill_before_the_explanation_leaves_none_and_the_next_start_makes_up_for_it(tmp_path: Path) -> None:
    with explaining(tmp_path / "whole", [1.0, 0.5, 1.0]) as stage:
        stage.play(2)
        expected = [step.saw for step in stage.steps()]
    with explaining(tmp_path / "killed", [1.0, 0.5, 1.0]) as stage:
        stage.play(1)
        killed_while_sending(stage)
        assert [step.is_explained for step in stage.steps()] == [True, True, False]
        assert len(why(stage)) == 1
        stage.restart()
        assert [step.saw for step in stage.steps()] == expected
        assert why(stage) == []


def test_99_what_another_model_decided_stays_unexplained(tmp_path: Path) -> None:
    with explaining(tmp_path, [1.0, 0.5, 1.0]) as stage:
        killed_while_sending(stage)
        stage.trader = stage.build()
        stage.trader.model = _other(stage.trader.model)
        stage.trader.start()
        assert not stage.steps()[-1].is_explained


def _other(model: LiveModel) -> LiveModel:
    return model_of(model.agent, sha256="b" * 64)


def test_99_a_day_with_an_explanation_missing_is_replayed_without_a_difference(tmp_path: Path) -> None:
    with explaining(tmp_path, [1.0, 0.5, 1.0, 0.0]) as stage:
        stage.play(1)
        killed_while_sending(stage)
        stage.trader = stage.build()
        stage.trader.model = _other(stage.trader.model)
        stage.trader.start()
        stage.trader.model = model_of(stage.agent)
        stage.play(1)
        day = stage.steps()[0].close_time // DAY_MS * DAY_MS
        found = replay_day(stage.services.journal, model_of(stage.agent), CONFIG, LIMITS, day, OrderKind.REAL)
        assert found == (len(stage.steps()) - 1, [])


# On the wire.


def look_ahead(stage: Stage) -> None:
    """Let the bot look shortly before the next candle closes, and wait until it wants to look again."""
    stage.at_candle(stage.candle + 1, after_ms=-AHEAD_MS // 2)
    wait_s = stage.worker.once()
    assert wait_s == pytest.approx(AHEAD_MS / 2000 + stage.config.settle_s + 0.05)
    stage.server.now_ms += round(wait_s * 1000)


def asked_after_the_close(stage: Stage) -> list[str]:
    """Let the bot look at the candle; return what it asked of the exchange until the order arrived there, in order."""
    before = len(stage.server.requests)
    stage.worker.once()
    found = [_called(endpoint, query) for endpoint, query in stage.server.requests[before:]]
    return found[: found.index("the order") + 1] if "the order" in found else found


def _called(endpoint: str, query: dict[str, str]) -> str:
    return "the order" if "newClientOrderId" in query else endpoint


@pytest.mark.parametrize("settle_s", [0.0, 1.0])
def test_a_candle_is_one_request_and_its_order_one_more_after_the_question_whether_another_bot_sent_it(
    tmp_path: Path, settle_s: float
) -> None:
    with Stage(tmp_path, [1.0, 0.5, 0.5, 0.0], config=replace(CONFIG, settle_s=settle_s)) as stage:
        for decided in (True, True, False, True):
            look_ahead(stage)
            assert asked_after_the_close(stage) == ["klines", *(["order", "the order"] if decided else [])]
            late_ms = stage.steps()[-1].decided_at - stage.steps()[-1].close_time
            assert late_ms == settle_s * 1000 + 50
        look_ahead(stage)
        stage.worker.once()
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL", "SELL"]
        assert stage.state is RiskState.ACTIVE


def test_a_look_is_made_shortly_before_a_candle_is_due_and_at_it(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.0]) as stage:
        stage.at_candle(stage.candle + 1, after_ms=-20_000)
        stage.server.now_ms += round(stage.worker.once() * 1000)
        assert stage.server.now_ms == stage.server.bars[stage.candle + 1][0] - AHEAD_MS + 50
        asked = stage.server.asked("myTrades")
        stage.server.now_ms += round(stage.worker.once() * 1000)
        assert stage.server.asked("myTrades") == asked + 1
        assert len(stage.steps()) == 1
        stage.worker.once()
        assert len(stage.steps()) == 2
        assert stage.server.asked("myTrades") == asked + 1


@pytest.mark.parametrize("jump_ms", [20_000, -20_000, 5_000])
def test_98_a_clock_that_is_set_after_the_look_is_asked_for_again(tmp_path: Path, jump_ms: int) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        look_ahead(stage)
        stage.clock.skew_ms = jump_ms
        stage.server.now_ms -= 1_000  # by the exchange's clock, the candle is still open
        assert asked_after_the_close(stage)[0] == "time"
        assert len(stage.steps()) == 1
        stage.server.now_ms += 1_000
        assert asked_after_the_close(stage)[-1] == "the order"
        assert stage.steps()[-1].decided_at >= stage.steps()[-1].close_time
        stage.play(1)
        stage.check()


def test_98_a_look_of_long_ago_serves_no_candle(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        look_ahead(stage)
        stage.server.now_ms += 60_000  # stopped, as by SIGSTOP
        asked = asked_after_the_close(stage)
        assert asked[0] == "time"
        assert "myTrades" in asked
        assert stage.steps()[-1].decided_at - stage.steps()[-1].close_time == 60_050
        stage.check()


def no(reply: Reply) -> None:
    reply.status, reply.body = 503, b""


@pytest.mark.parametrize("endpoint", ["myTrades", "openOrders", "account"])
def test_98_what_cannot_be_seen_before_the_close_is_asked_for_after_it(tmp_path: Path, endpoint: str) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        stage.server.faults[endpoint] = [no] * 3
        stage.at_candle(stage.candle + 1, after_ms=-AHEAD_MS // 2)
        stage.worker.once()
        assert stage.server.faults[endpoint] == []
        assert stage.trader.view.trouble == ""
        stage.at_candle(stage.candle)
        assert endpoint in asked_after_the_close(stage)
        assert len(stage.server.ours()) == 1
        stage.play(1)
        stage.check()
        assert stage.state is RiskState.ACTIVE


def test_98_what_a_stranger_did_is_told_at_the_look_and_holds_the_candle(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        stage.server.trade_by_hand("BUY", "0.5")
        look_ahead(stage)
        assert stage.state is RiskState.REDUCING
        assert len(stage.steps()) == 1
        stage.worker.once()
        assert stage.server.posts == []


def test_98_a_fill_that_comes_between_look_and_close_is_in_the_books_of_that_candle(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0]) as stage:
        stage.server.faults["myTrades"] = [rows(lambda found: [])] * 100
        look_ahead(stage)
        stage.worker.once()
        look_ahead(stage)
        assert len(stage.services.journal.unresolved(SYMBOL)) == 1
        stage.server.faults["myTrades"].clear()
        stage.worker.once()
        assert stage.services.journal.unresolved(SYMBOL) == []
        assert stage.steps()[-1].status == "decided"
        assert stage.steps()[-1].record["units"] > 9
        stage.check()


def test_98_a_stop_that_sells_between_look_and_close_leaves_the_coins_of_others(tmp_path: Path) -> None:
    limits = replace(LIMITS, max_drawdown_frac=0.2, max_daily_loss_frac=0.05)
    stage = Stage(tmp_path, [1.0, 0.0], limits=limits)
    stage.server.account.balances["BTC"] = Decimal(3)  # of somebody else
    with stage:
        look_ahead(stage)
        stage.worker.once()
        assert len(stage.server.stops()) == 1
        look_ahead(stage)
        stage.server.fall_to("55", then="100")
        assert stage.server.account.balances["BTC"] == 3
        stage.worker.once()
        look_ahead(stage)
        stage.worker.once()
        assert stage.server.account.balances["BTC"] == 3
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        stage.check(strangers="3")


def test_98_coins_that_a_stop_gave_back_after_the_look_are_sold_at_the_candle(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0], limits=replace(LIMITS, max_drawdown_frac=0.2, max_daily_loss_frac=0.05)) as stage:
        stage.play(1)
        assert len(stage.server.stops()) == 1
        look_ahead(stage)
        stage.server.fates = ["-1013"]
        journal = stage.services.journal
        guard = LiveGuard(SYMBOL, stage.limits, journal)
        closing = close_at_exchange(stage.account, guard, journal, stage.config, lambda: stage.server.now_ms)
        assert not closing.is_flat
        assert stage.server.stops() == []
        stage.worker.once()
        assert stage.server.account.balances["BTC"] < Decimal("1e-4")
        stage.check(orders_by_hand=1)


@pytest.mark.parametrize("fate", UNKNOWN)
def test_orders_are_accounted_for_where_the_account_is_seen_before_the_close(tmp_path: Path, fate: str) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0, 0.0]) as stage:
        stage.server.fates = [FATES[fate]]
        for _ in range(4):
            look_ahead(stage)
            stage.worker.once()
            stage.server.deliver_late()
        stage.play(1)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert stage.units() == 0.0
        assert stage.state is RiskState.ACTIVE
