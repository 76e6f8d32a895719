"""Silence and refusals that go on are told to people, once, and turn `/health`."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from src.errors import DataError, TransientError
from src.live.live_guard import RiskState
from src.live.watching.monitor import MOST_CLIENTS, Monitor
from src.market.history.exchange_pause import ExchangePause
from tests.support.fakes.exchange_server import Fault, Reply, rows, status
from tests.support.live_command import health
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import HOUR_MS, Chooser, random_rows
from tests.support.waiting import wait_until

NOTHING_YET = rows(lambda found: [])


def delisted(reply: Reply) -> None:
    reply.status, reply.payload = 400, {"code": -1121, "msg": "Invalid symbol."}


def complaints(stage: Stage) -> list[str]:
    return Monitor([stage.trader], stage.config, is_live=True).complaints()


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


def banned(until_ms: int) -> Fault:
    """Answer as Binance does where an address is banned, without a header."""

    def fault(reply: Reply) -> None:
        sentence = f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams."
        reply.status, reply.payload = 418, {"code": -1003, "msg": sentence}

    return fault


@pytest.mark.parametrize("endpoint", ["klines", "time", "myTrades", "account"])
def test_74_a_ban_holds_for_everyone_who_asks_and_lasts_as_long_as_was_said(tmp_path: Path, endpoint: str) -> None:
    with Stage(tmp_path, [1.0, 1.0, 1.0, 0.0]) as stage:
        stage.play(1)
        until = stage.server.now_ms + HOUR_MS + 1_200_000
        stage.server.faults[endpoint] = [banned(until)] * 5
        stage.play(1, looks=5)
        requests = len(stage.server.requests)
        stage.server.now_ms = until - 10_000
        stage.worker.once()
        with pytest.raises(TransientError, match="pause"):
            stage.account.balance("BTC")
        with pytest.raises(DataError, match="pause"):
            stage.trader._feed.source.now()
        assert len(stage.server.requests) == requests
        assert len(stage.server.faults[endpoint]) == 4, "it was asked while banned"
        assert any("pause" in text for text in complaints(stage))
        stage.server.faults.clear()
        stage.play(2)
        assert stage.state is RiskState.ACTIVE, "a ban is no reason to halt"
        assert complaints(stage) == []
        stage.check()


def test_74_a_clock_that_is_put_back_makes_no_ban_longer() -> None:
    now_ms = [10**12]
    pause = ExchangePause(lambda: now_ms[0])
    assert pause.heed("", {"Retry-After": "60"}) == 60
    assert pause.heed("", {"Retry-After": "30"}) == 30
    now_ms[0] -= HOUR_MS
    assert pause.left_s == 60
    now_ms[0] += 60_000
    assert pause.left_s == 0


def test_68_a_candle_is_missed_sooner_with_a_position_held(tmp_path: Path) -> None:
    for name, target, times in (("held", 1.0, 1), ("flat", 0.0, 0)):
        minutes = random_rows(FIRST + 70, sigma=1e-4, step_ms=60_000)
        stage = Stage(tmp_path / name, rows=minutes, agent=Chooser((target,)))
        stage.timeframe = "1m"
        with stage:
            stage.server.now_ms += 60_000
            stage.worker.once()
            assert (stage.trader.view.units > 0) == bool(target)
            stage.server.faults["klines"] = [NOTHING_YET] * 100
            stage.server.now_ms += 150_000
            stage.worker.once()
            assert told(stage, "overdue by more than 60 s") == times
            assert any("the last candle closed" in text for text in complaints(stage))
            stage.server.faults.clear()
            stage.worker.once()
            assert sum("candles come again" in text for text in stage.messages.infos) == times
            assert complaints(stage) == []


def test_70_the_oldest_of_too_many_clients_gives_way(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, ExitStack() as clients:
        monitor = Monitor([stage.trader], stage.config, is_live=True)
        port = monitor.serve()
        clients.callback(monitor.close)
        first, *_ = [
            clients.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(MOST_CLIENTS + 1)
        ]
        first.settimeout(2.0)  # less than a client that says nothing has
        assert first.recv(1) == b""
        assert health(port)[0] == 200


def test_76_a_client_that_drips_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.live.watching.monitor.CLIENT_TIMEOUT_S", 0.5)
    with Stage(tmp_path) as stage, ExitStack() as clients:
        monitor = Monitor([stage.trader], stage.config, is_live=True)
        port = monitor.serve()
        clients.callback(monitor.close)
        client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
        client.settimeout(0.1)  # each byte comes long before the time is over
        wait_until(lambda: _is_cut_off(client), otherwise="it was listened to for ever")


def _is_cut_off(client: socket.socket) -> bool:
    try:
        client.sendall(b"G")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True
