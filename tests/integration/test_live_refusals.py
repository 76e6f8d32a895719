"""What is refused candle after candle is told to people, once, and turns `/health`; so is that it is over."""

from pathlib import Path

import pytest

from src.live.live_guard import RiskState
from src.live.watching.monitor import Monitor
from tests.support.fakes.exchange_server import Reply, status
from tests.support.live_scene import Stage
from tests.support.live_setup import HOUR_MS

HALF_THEN_WHOLE = [0.5, 1.0]


def complaints(stage: Stage) -> list[str]:
    return Monitor([stage.trader], stage.config, is_live=True).complaints()


def told(stage: Stage, words: str) -> int:
    return sum(words in message for message in stage.messages.errors)


def told_of_the_end(stage: Stage, words: str) -> int:
    return sum(words in message for message in stage.messages.infos)


def market_breaks(stage: Stage, goes_on: bool) -> None:
    stage.server.market_status = "BREAK" if goes_on else "TRADING"
    stage.account.connect()


def minimum_rises(stage: Stage, goes_on: bool) -> None:
    stage.server.min_notional = "50000" if goes_on else "5"
    stage.account.connect()


def money_leaves(stage: Stage, goes_on: bool) -> None:
    stage.server.fates = ["-2010"] * 20 if goes_on else []


def orders_time_out(stage: Stage, goes_on: bool) -> None:
    stage.server.fates = ["lost"] * 20 if goes_on else []


REFUSALS = {
    "the market does not trade": (market_breaks, "does not trade BTC/USDT now"),
    "below the minimum": (minimum_rises, "below the minimum"),
    "refused by the exchange": (money_leaves, "refused: "),
    "lost on the way": (orders_time_out, "not placed"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_73_what_is_refused_three_times_in_a_row_is_told_and_so_is_its_end(tmp_path: Path, name: str) -> None:
    happens, words = REFUSALS[name]
    with Stage(tmp_path, HALF_THEN_WHOLE) as stage:
        stage.play(1)
        happens(stage, True)
        stage.play(2)
        assert told(stage, "times in a row") == 0
        assert complaints(stage) == []
        stage.play(2)
        assert told(stage, "3 times in a row") == told(stage, "times in a row") == 1
        (complaint,) = complaints(stage)
        assert complaint.startswith("BTC/USDT: 4 times in a row: ")
        assert words in complaint
        happens(stage, False)
        stage.play(1)
        assert complaints(stage) == []
        assert told_of_the_end(stage, "orders come about again") == 1
        assert stage.trader.view.refused == 4
        stage.check()


def test_73_a_wish_that_goes_away_is_no_complaint_and_a_new_one_is_counted_on(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 1.0, 1.0, 0.5, 1.0]) as stage:
        stage.play(1)
        market_breaks(stage, True)
        stage.play(3)
        assert len(complaints(stage)) == 1
        stage.play(1)
        assert complaints(stage) == []
        stage.play(1)
        assert complaints(stage)[0].startswith("BTC/USDT: 4 times in a row: ")
        assert told(stage, "times in a row") == 1


def test_73_candles_that_are_seen_too_late_again_and_again_are_told(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        for _ in range(4):
            stage.at_candle(stage.candle + 1, HOUR_MS // 2)
            stage.worker.once()
        assert told(stage, "3 times in a row: the candle was seen too late") == 1
        assert len(complaints(stage)) == 1
        stage.play(1)
        assert complaints(stage) == []
        assert told_of_the_end(stage, "decisions come about again") == 1


def test_73_a_balance_that_cannot_be_read_for_long_is_told(tmp_path: Path) -> None:
    with Stage(tmp_path, HALF_THEN_WHOLE) as stage:
        stage.play(1)
        stage.server.faults["account"] = [status(503)] * 1_000
        stage.play(1, looks=4)
        assert told(stage, "looks in a row have failed") == 1
        assert any("the balance" in text for text in complaints(stage))
        stage.server.faults["account"] = []
        stage.play(1)
        assert complaints(stage) == []
        assert told_of_the_end(stage, "looks succeed again") == 1
        stage.check()


def delisted(reply: Reply) -> None:
    reply.status, reply.payload = 400, {"code": -1121, "msg": "Invalid symbol."}


def test_68_a_market_that_is_delisted_with_a_position_held_is_told(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        for endpoint in ("klines", "myTrades", "openOrders", "order"):
            stage.server.faults[endpoint] = [delisted] * 1_000
        stage.play(1, looks=3)
        assert told(stage, "looks in a row have failed") == 1
        assert any("Invalid symbol" in text for text in complaints(stage))
        assert stage.trader.view.units > 9


@pytest.mark.parametrize("state", [RiskState.REDUCING, RiskState.HALTED])
def test_75_a_start_that_is_not_free_to_trade_is_told(tmp_path: Path, state: RiskState) -> None:
    with Stage(tmp_path) as stage:
        stage.trader.escalate(state, "a stranger traded")
        assert told(stage, f"BTC/USDT is {state.name}: a stranger traded") == 1
        stage.restart()
        assert told(stage, f"BTC/USDT starts {state.name}: a stranger traded") == 1
        assert complaints(stage) == [f"BTC/USDT: {state.name}: a stranger traded"]


def test_75_a_start_that_is_free_to_trade_tells_nothing(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.restart()
        assert stage.messages.errors == []
