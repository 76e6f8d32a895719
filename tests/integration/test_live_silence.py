"""Silence and refusals that go on are told to people, once, and turn `/health`."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from src.live.live_guard import RiskState
from src.live.watching.monitor import MOST_CLIENTS, Monitor
from tests.support.fakes.exchange_server import Reply, rows, status
from tests.support.live_command import health
from tests.support.live_scene import Stage

NOTHING_YET = rows(lambda found: [])


def delisted(reply: Reply) -> None:
    reply.status, reply.payload = 400, {"code": -1121, "msg": "Invalid symbol."}


def complaints(stage: Stage) -> list[str]:
    return Monitor([stage.trader], stage.config, stage.clock, is_live=True).complaints()


def told(stage: Stage, words: str) -> int:
    return sum(words in message for message in stage.messages.errors)


@pytest.mark.parametrize("endpoint", ["klines", "myTrades"])
def test_68_what_is_refused_three_times_in_a_row_is_told_once(tmp_path: Path, endpoint: str) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        assert stage.trader.view.units > 0
        stage.server.faults[endpoint] = [delisted] * 100
        stage.play(1, looks=2)
        assert told(stage, "looks in a row have failed") == 0
        stage.play(1, looks=4)
        assert told(stage, "looks in a row have failed") == 1
        assert any("Invalid symbol" in text for text in complaints(stage))


def test_68_a_candle_that_does_not_come_is_told_once(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.faults["klines"] = [NOTHING_YET] * 100
        longest_ms = int(stage.config.max_silence_s * 1000)
        stage.at_candle(stage.candle + 1, longest_ms - 10_000)
        stage.worker.once()
        assert told(stage, "overdue") == 0
        stage.at_candle(stage.candle, longest_ms + 10_000)
        stage.worker.once()
        stage.worker.once()
        assert told(stage, "overdue") == 1
        assert any("the last candle closed" in text for text in complaints(stage))
        stage.server.faults.clear()
        stage.play(1)
        stage.check()
        assert complaints(stage) == []


def test_68_health_is_not_well_while_reducing(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        assert complaints(stage) == []
        stage.trader.escalate(RiskState.REDUCING, "a stranger traded")
        assert complaints(stage) == ["BTC/USDT: REDUCING: a stranger traded"]
        assert told(stage, "REDUCING") == 1


@pytest.mark.parametrize("asked_s", [1_200, 7_200])
def test_69_no_candle_is_asked_for_before_a_ban_is_over(tmp_path: Path, asked_s: int) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.server.faults["klines"] = [status(418, Retry_After=str(asked_s))]
        stage.play(1)
        requests = len(stage.server.requests)
        stage.server.now_ms += (asked_s - 10) * 1000
        stage.worker.once()
        assert len(stage.server.requests) == requests
        stage.server.now_ms += 20_000
        stage.worker.once()
        assert len(stage.server.requests) > requests
        assert complaints(stage) == []


def test_70_the_oldest_of_too_many_clients_gives_way(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, ExitStack() as clients:
        monitor = Monitor([stage.trader], stage.config, stage.clock, is_live=True)
        port = monitor.serve()
        clients.callback(monitor.close)
        first, *_ = [
            clients.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(MOST_CLIENTS + 1)
        ]
        first.settimeout(2.0)  # less than a client that says nothing has
        assert first.recv(1) == b""
        assert health(port)[0] == 200
