"""The process around the traders: symbols fail alone, waits grow, a stop lets an order on its way be accounted for."""

import itertools
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from src.errors import DataError, TransientError
from src.live.bot import LONGEST_WAIT_S, Bot, Worker, tell_systemd
from src.live.live_guard import RiskState
from src.live.trader import TAPE_BARS, Trader
from src.live.watching.pulse import HUNG_WORKER_S
from tests.support.live_scene import Messages, Stage
from tests.support.live_setup import HOUR_MS, Recording, paper_trader, random_rows
from tests.support.waiting import PATIENCE_S


def paper(folder: Path) -> tuple[Trader, Worker]:
    folder.mkdir()
    source = Recording(random_rows(TAPE_BARS + 40))
    source.now_ms = int(source.rows[TAPE_BARS][0]) + HOUR_MS + 1000
    trader = paper_trader(folder, source)
    return trader, Worker(trader, trader._services)


def run(bot: Bot, stop: threading.Event, until: threading.Event) -> None:
    thread = threading.Thread(target=bot.run)
    thread.start()
    assert until.wait(PATIENCE_S)
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_symbol_that_fails_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (broken, first), (sound, second) = paper(tmp_path / "broken"), paper(tmp_path / "sound")
    stop, seen = threading.Event(), threading.Event()

    def fail() -> int:
        raise ZeroDivisionError("of all things")

    def look() -> int:
        seen.set()
        return 0

    monkeypatch.setattr(broken, "start", fail)
    monkeypatch.setattr(sound, "start", look)
    bot = Bot([first, second], sound._services, stop)
    run(bot, stop, seen)
    assert broken.guard.state is RiskState.HALTED
    assert "unexpected ZeroDivisionError" in broken.guard.reason
    assert sound.guard.state is RiskState.ACTIVE
    assert sound.view.trouble == ""


def test_waits_grow_while_it_fails_and_end_when_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trader, worker = paper(tmp_path / "one")
    tick = trader.tick

    def fail() -> int:
        raise DataError("no candles")

    monkeypatch.setattr(trader, "tick", fail)
    waits = [worker.once() for _ in range(7)]
    assert waits == [2.0, 4.0, 8.0, 16.0, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert trader.guard.state is RiskState.ACTIVE, "without candles nothing is at risk"
    monkeypatch.setattr(trader, "tick", tick)
    worker.once()
    assert trader.view.trouble == ""
    assert trader.view.decided == 1


def test_an_account_that_stays_silent_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trader, worker = paper(tmp_path / "one")

    def fail() -> int:
        raise TransientError("throttled")

    monkeypatch.setattr(trader, "tick", fail)
    source = trader._feed.source
    assert isinstance(source, Recording)
    worker.once()
    source.now_ms += 900_000
    worker.once()
    assert trader.guard.state is RiskState.ACTIVE
    source.now_ms += 1
    worker.once()
    assert trader.guard.state is RiskState.HALTED
    assert "throttled" in trader.guard.reason


def test_34_a_stop_while_an_order_is_on_its_way_waits_for_its_outcome(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0]) as stage:
        stop, sent = threading.Event(), threading.Event()
        stage.server.fates = ["cut after accept"]
        place = stage.account.place

        def place_and_stop(*arguments: object) -> str:
            stop.set()
            stop.set()
            try:
                return place(*arguments)  # type: ignore[arg-type]
            finally:
                sent.set()

        stage.account.place = place_and_stop  # type: ignore[method-assign]
        stage.at_candle(stage.candle + 1)
        run(Bot([stage.worker], stage.services, stop), stop, sent)
        assert stage.services.journal.unresolved("BTC/USDT") == []
        stage.check()
        stage.restart()
        stage.play(2)
        stage.check()
        assert len(stage.server.ours()) == 2


def test_the_summary_of_a_day_names_equity_fills_and_state(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 0.0]) as stage:
        stage.play(3)
        bot = Bot([stage.worker], stage.services, threading.Event())
        day = stage.steps()[0].close_time - 1
        text = bot.summary(day)
        assert text.startswith("BTC/USDT: equity 99")
        assert "4 candles, 2 fills; ACTIVE" in text
        assert "no candle was seen" in bot.summary(0)


def test_systemd_is_told_where_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell_systemd("READY=1")  # nobody asks
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        tell_systemd("WATCHDOG=1")
        assert end.recv(100) == b"WATCHDOG=1"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell_systemd("STOPPING=1")


class Hasty(threading.Event):
    """Takes a twentieth of a second for a second."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(timeout and timeout / 20)


@pytest.mark.parametrize("is_hung", [False, True])
def test_the_watchdog_is_fed_while_every_worker_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_hung: bool
) -> None:
    trader, worker = paper(tmp_path / "one")
    stop, seen, once = Hasty(), threading.Event(), worker.once
    bot = Bot([worker], trader._services, stop)
    all_move, asked = bot._all_move, itertools.count(1)

    def watched() -> bool:
        moves = all_move()
        if moves or next(asked) == 4:
            seen.set()
        return moves

    def look() -> float:
        once()
        return 0.05

    if is_hung:  # as if each sign of life were so long ago
        beat, notifier = trader.view.pulse.beat, Messages()
        bot._services = replace(bot._services, notifier=notifier)
        monkeypatch.setattr(trader.view.pulse, "beat", lambda wait_s=0.0: beat(-HUNG_WORKER_S - 1))

    monkeypatch.setattr(bot, "_all_move", watched)
    monkeypatch.setattr(worker, "once", look)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        run(bot, stop, seen)
        told = []
        while not told or told[-1] != b"STOPPING=1":
            told.append(end.recv(100))
    assert told[0] == b"READY=1"
    assert (b"WATCHDOG=1" in told) != is_hung
    if is_hung:
        assert [text for text in notifier.errors if "stuck" in text] == [
            "BTC/USDT: its worker is stuck; the bot has to be started again"
        ]


def test_72_a_bot_whose_worker_stays_stuck_ends_to_be_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trader, worker = paper(tmp_path / "one")
    gate, beat = threading.Event(), trader.view.pulse.beat
    monkeypatch.setattr(trader.view.pulse, "beat", lambda wait_s=0.0: beat(-HUNG_WORKER_S - 1))
    trader.view.pulse.beat()
    monkeypatch.setattr(worker, "once", lambda: float(gate.wait(PATIENCE_S)))
    stop = Hasty()
    with pytest.raises(TransientError, match="a worker is stuck, so the bot ends"):
        Bot([worker], trader._services, stop).run()
    stop.set()
    gate.set()
    assert TransientError.exit_code == 1, "what exits with 2 is not started anew"
