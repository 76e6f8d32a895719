"""Fault 94: a stream of candles tells their end early, and whatever it says or leaves out, no candle is decided on that
polling would not have shown as well.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from src.brokerage.clock import SystemClock
from src.errors import ConfigError
from src.live.bot import Bot
from src.live.candle_feed import CandleFeed
from src.live.watching.notify import Notifier
from src.market.history.candle_stream import KEPT, CandleStream
from src.market.history.exchange_bars import ExchangeBars
from tests.support.fakes.stream_server import StreamServer, frame
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import CONFIG, HOUR_MS, START, SYMBOL, bars_of, random_rows
from tests.support.waiting import wait_until

ROWS = random_rows(60)
PLACE = 30  # of the candle that ends in tests of the stream alone


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer(ROWS, int(ROWS[PLACE][0]) + HOUR_MS + 300) as server:
        yield server


@pytest.fixture
def source(server: StreamServer) -> ExchangeBars:
    source = ExchangeBars("binance", SYMBOL, "1h", server.url)
    source.connect()
    return source


@pytest.fixture
def stream(server: StreamServer, source: ExchangeBars) -> Iterator[CandleStream]:
    stream = CandleStream("binance", SYMBOL, "1h", source.markets, server.url, silent_s=1.0, first_wait_s=0.1)
    stream.start()
    wait_until(lambda: server.open_streams == 1, otherwise="nobody subscribed")
    yield stream
    stream.close()
    assert not stream._thread.is_alive()


def finish(server: StreamServer, place: int = PLACE, **changes: Any) -> None:
    server.push(server.kline(ROWS[place], is_final=True, **changes))


def settled_feed(source: ExchangeBars, stream: CandleStream, settle_ms: int = 2_000) -> CandleFeed:
    """A feed that knows all candles before the one that ends."""
    return CandleFeed(source, bars_of(ROWS[:PLACE]), settle_ms, stream)


def test_94_a_candle_settles_at_once_where_stream_and_polling_agree(
    server: StreamServer, source: ExchangeBars, stream: CandleStream
) -> None:
    feed = settled_feed(source, stream)
    assert feed.poll(server.now_ms).fresh == [], "0.3 s after its close it has not settled"
    assert server.asked("klines") == 0
    finish(server)
    assert stream.wake.wait(5)
    assert server.subscriptions == ["btcusdt@kline_1h"]
    assert feed.poll(server.now_ms).fresh == bars_of(ROWS[PLACE : PLACE + 1])
    assert server.asked("klines") == 1
    assert server.asked("exchangeInfo") == 1, "the stream reads no markets of its own"


def test_94_the_next_candle_says_that_the_one_before_has_finished(
    server: StreamServer, source: ExchangeBars, stream: CandleStream
) -> None:
    def is_told() -> bool:
        server.push(server.kline(ROWS[PLACE], is_final=False))
        server.push(server.kline(ROWS[PLACE + 1], is_final=False))
        return stream.wake.wait(0.1)

    wait_until(is_told, otherwise="it was not told")
    assert stream.finished(int(ROWS[PLACE][0])) == bars_of(ROWS[PLACE : PLACE + 1])[0]
    assert stream.finished(int(ROWS[PLACE + 1][0])) is None


def test_94_a_candle_that_still_forms_is_not_decided_on_though_it_is_flagged_as_finished(
    server: StreamServer, source: ExchangeBars, stream: CandleStream
) -> None:
    server.now_ms -= 1_000  # 0.7 s before its close
    finish(server)
    assert stream.wake.wait(5)
    feed = settled_feed(source, stream)
    assert feed.poll(server.now_ms).fresh == []
    assert server.asked("klines") == 0
    server.now_ms += 1_000
    moved = (*ROWS[PLACE][:4], ROWS[PLACE][4] * 1.0001, ROWS[PLACE][5])
    server.bars[PLACE] = moved  # it went on until it closed
    assert feed.poll(server.now_ms).fresh == []
    server.now_ms += 2_000
    assert feed.poll(server.now_ms).fresh == bars_of([moved])


def test_94_the_newest_word_counts_and_what_is_out_of_order_wakes_nobody(
    server: StreamServer, source: ExchangeBars, stream: CandleStream
) -> None:
    finish(server)
    finish(server)
    assert stream.wake.wait(5)
    stream.wake.clear()
    finish(server, place=PLACE - 3)
    finish(server, c=str(ROWS[PLACE][1]))
    opened = int(ROWS[PLACE][0])
    wait_until(lambda: getattr(stream.finished(opened), "close", 0) == ROWS[PLACE][1], otherwise="no correction came")
    assert not stream.wake.wait(0.5)
    feed = settled_feed(source, stream)
    assert feed.poll(server.now_ms).fresh == [], "polling says otherwise than the correction"
    for place in range(PLACE - 25, PLACE + 1):
        finish(server, place=place)
    wait_until(lambda: stream.finished(opened) is not None, otherwise="not the last")
    assert len(stream._finished) == KEPT


def silent(server: StreamServer) -> None:
    """Say nothing."""


def cut(server: StreamServer) -> None:
    server.cut()


def garbage(server: StreamServer) -> None:
    server.send(frame(b"\xff\xfe<html>"))


def no_frame(server: StreamServer) -> None:
    server.send(b"HTTP/1.1 200 OK\r\n\r\n" * 10)


def no_numbers(server: StreamServer) -> None:
    finish(server, c="NaN")


def impossible(server: StreamServer) -> None:
    finish(server, h="0.5")


def off_the_grid(server: StreamServer) -> None:
    finish(server, t=int(ROWS[PLACE][0]) + 1)


def of_another_market(server: StreamServer) -> None:
    finish(server, s="ETHUSDT")


def no_object(server: StreamServer) -> None:
    server.push([1, None, {"e": "kline"}])


def drips(server: StreamServer) -> None:
    """Send a byte now and then, so that no message is ever whole."""
    content = frame(b'{"e": "kline"' + b" " * 40)[:-1]

    def send() -> None:
        with suppress(OSError):  # the client hangs up
            server.send(content, 0.1)

    threading.Thread(target=send, daemon=True).start()


FAILURES = [silent, cut, garbage, no_frame, no_numbers, impossible, off_the_grid, of_another_market, no_object, drips]


@pytest.mark.parametrize("failure", FAILURES)
def test_94_a_stream_that_fails_is_told_polled_past_and_opened_again(
    server: StreamServer,
    source: ExchangeBars,
    stream: CandleStream,
    failure: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="src.market.history.candle_stream")
    failure(server)
    wait_until(lambda: "the stream of candles failed" in caplog.text, otherwise="nobody was told")
    assert caplog.text.count("polling until it is back") == 1
    opened = int(ROWS[PLACE][0])
    assert stream.finished(opened) is None
    feed = settled_feed(source, stream)
    assert feed.poll(server.now_ms).fresh == []
    assert feed.poll(server.now_ms + 2_000).fresh == bars_of(ROWS[PLACE : PLACE + 1])
    wait_until(lambda: len(server.subscriptions) >= 2 and server.open_streams >= 1, otherwise="it was not opened again")

    def is_back() -> bool:
        finish(server)
        return stream.finished(opened) is not None

    wait_until(is_back, otherwise="it said nothing sound again")
    assert "the stream of candles is back" in caplog.text


def test_94_a_stream_that_is_refused_is_asked_for_with_growing_waits(
    server: StreamServer, source: ExchangeBars, caplog: pytest.LogCaptureFixture
) -> None:
    server.refuses = 503
    stream = CandleStream("binance", SYMBOL, "1h", source.markets, server.url, first_wait_s=0.05)
    stream.start()
    wait_until(lambda: "the stream of candles failed" in caplog.text, otherwise="nobody was told")
    stream.close()
    assert not stream._thread.is_alive()


def test_94_an_exchange_without_streams_of_candles_is_refused(source: ExchangeBars) -> None:
    with pytest.raises(ConfigError, match="set candles: poll"):
        CandleStream("independentreserve", SYMBOL, "1h", source.markets)
    with pytest.raises(ConfigError, match="on this machine"):
        CandleStream("binance", SYMBOL, "1h", source.markets, "http://example.org")


class StreamStage(Stage):
    """A bot whose candles are streamed as well, with an exchange of moved time."""

    def make_server(self, rows: Any) -> StreamServer:
        return StreamServer(rows, START)

    def build(self) -> Any:
        trader = super().build()
        source = trader._feed.source
        self.stream = CandleStream("binance", SYMBOL, "1h", source.markets, self.server.url, silent_s=30.0)
        trader._feed._stream = self.stream
        return trader


def test_94_an_order_leaves_before_the_candle_has_settled_and_the_invariants_hold(tmp_path: Path) -> None:
    stage = StreamStage(tmp_path, [0.0, 1.0, 0.0, 1.0, 0.0], config=replace(CONFIG, settle_s=2.0), first=FIRST + 1)
    with stage:
        server = stage.server
        assert isinstance(server, StreamServer)
        stage.stream.start()
        wait_until(lambda: server.open_streams == 1, otherwise="nobody subscribed")
        late = []
        for is_streamed in (True, True, False):
            stage.at_candle(stage.candle + 1, after_ms=-2_000)
            stage.worker.once()
            server.now_ms += 2_300
            stage.stream.wake.clear()
            if is_streamed:
                server.push(server.kline(server.bars[stage.candle], is_final=True))
                assert stage.stream.wake.wait(5)
            stage.worker.once()
            server.now_ms += 2_000
            stage.worker.once()
            late.append(stage.steps()[-1].decided_at - stage.steps()[-1].close_time)
        stage.stream.close()
        assert late[0] == late[1] == 300
        assert late[2] == 2_300
        stage.play(1)
        stage.check()
        assert len(server.ours()) >= 3


class Looking:
    """A worker that only counts its looks, and wants to look again in half a minute."""

    def __init__(self) -> None:
        self.looks, self.wake, self.is_begun, self.is_ended = 0, threading.Event(), False, False
        view = SimpleNamespace(pulse=SimpleNamespace(is_missing=False))
        self.trader = SimpleNamespace(symbol=SYMBOL, view=view)
        self.stream = self

    def start(self) -> None:
        self.is_begun = True

    def close(self) -> None:
        self.is_ended = True

    def once(self) -> float:
        self.looks += 1
        return 30.0

    def is_asked(self) -> bool:
        return False


def test_94_a_candle_that_has_finished_wakes_its_worker_and_a_stop_ends_its_stream() -> None:
    worker, stop = Looking(), threading.Event()
    services = SimpleNamespace(clock=SystemClock(), notifier=Notifier())
    bot = Bot([worker], services, stop)  # type: ignore[list-item, arg-type]
    thread = threading.Thread(target=bot.run)
    thread.start()
    wait_until(lambda: worker.looks == 1, otherwise="it never looked")
    worker.wake.set()
    wait_until(lambda: worker.looks == 2, otherwise="it was not woken")
    assert worker.is_begun
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert worker.is_ended
    assert worker.looks == 2
