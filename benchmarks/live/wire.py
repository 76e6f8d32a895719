"""How long from a candle's close to an accepted order, over HTTP to an exchange that answers after a stated time?

An autonomous champion of the default size with fresh weights trades an account on a stand-in for Binance on this
machine, through ccxt, candle after candle. Each answer takes `--answer-ms`, as one from another continent would. Once
the bot looks at clock and account before the close, as it does when it runs; once it only sees the candle afterwards,
as at a start; and once a stream tells the end of the candle, so that it has not to settle. Times are of the wall clock,
from the close to the answer that the order was accepted, `--settle-s` included, and of the processor, from waking up
for the candle to the same answer. The stand-in shares the machine.
"""

import logging
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import command_line, run_benchmark
from benchmarks.live.latency import HOUR_MS, LIMITS, SYMBOL, make_model
from src.brokerage.broker_account import Keys
from src.brokerage.ccxt_account import CcxtAccount
from src.config.live import DriftConfig, LiveConfig
from src.journal.journal import Journal
from src.live.bot import JUST_AFTER_S, Worker
from src.live.candle_feed import CandleFeed
from src.live.live_model import LiveModel
from src.live.shared_services import SharedServices
from src.live.trader import Trader
from src.live.venues.exchange import ExchangeVenue
from src.live.watching.notify import Notifier
from src.market.history.candle_stream import CandleStream
from src.market.history.exchange_bars import ExchangeBars
from src.market.synthetic.known_markets import generate
from src.seeding import generator
from tests.support.fakes.exchange_server import Reply, Row
from tests.support.fakes.stream_server import StreamServer
from tests.support.waiting import wait_until

TAKES = "2 min"
AFTER, AHEAD, STREAMED = "seen after the close", "seen before the close", "told by a stream"
WARM_UP, START = 3, 1_600_000_000_000 // HOUR_MS * HOUR_MS


class SlowServer(StreamServer):
    """An exchange whose clock runs, and whose answers take a while."""

    def __init__(self, bars: Sequence[Row], now_ms: int, answer_s: float) -> None:
        self._answer_s = answer_s
        super().__init__(bars, now_ms)

    @property
    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000 + self._ahead_ms

    @now_ms.setter
    def now_ms(self, now_ms: int) -> None:
        self._ahead_ms = now_ms - time.monotonic_ns() // 1_000_000

    def answer(self, method: str, path: str, query: dict[str, str]) -> Reply:
        reply = super().answer(method, path, query)
        reply.delay_s = self._answer_s
        return reply


class RunningClock:
    """The server's time as the machine's."""

    def __init__(self, server: SlowServer) -> None:
        self._server = server

    def now_ms(self) -> int:
        return self._server.now_ms

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Scene:
    """A bot at the exchange, and when its orders were accepted."""

    def __init__(self, server: SlowServer, model: LiveModel, settle_s: float, folder: Path) -> None:
        clock, self.server = RunningClock(server), server
        config = LiveConfig(settle_s=settle_s, base_url=server.url, drift=DriftConfig(window_bars=500))
        journal = Journal(f"sqlite:///{folder / 'journal.db'}")
        services = SharedServices(config, LIMITS, journal, Notifier(), clock, uptime_ms=clock.now_ms)
        source = ExchangeBars("binance", SYMBOL, "1h", server.url)
        source.connect()
        account = CcxtAccount("binance", Keys("key", "secret"), clock, server.url)
        account.connect()
        place = account.place
        self.accepted: list[tuple[int, float]] = []  # exchange's time and processor time

        def timed_place(*arguments: Any) -> str:
            order = place(*arguments)
            self.accepted.append((server.now_ms, time.thread_time()))
            return order

        account.place = timed_place  # type: ignore[method-assign]
        self.stream = CandleStream("binance", SYMBOL, "1h", source.markets, server.url)
        feed = CandleFeed(source, (), int(settle_s * 1000), self.stream)
        self.trader = Trader(services, model, feed, lambda _: ExchangeVenue(account, journal, SYMBOL, config, LIMITS))
        self.worker = Worker(self.trader, services)

    def play(self, close: int, how: str, settle_s: float) -> tuple[float, float, int] | None:
        """Let a candle close; return seconds of both clocks, and requests, until its order was accepted, if any was."""
        due = close + int(settle_s * 1000)
        self.accepted.clear()
        if how == STREAMED:
            self.server.now_ms = close - 500
            self.worker.once()
            time.sleep(max(close - self.server.now_ms, 0) / 1000)
            self.stream.wake.clear()
            self.server.push(self.server.kline(self.server.opened()[-2], is_final=True))
            self.stream.wake.wait(settle_s)
        elif how == AHEAD:
            self.server.now_ms = due - 1_500
            time.sleep(self.worker.once())
        else:
            self.server.now_ms = due + int(JUST_AFTER_S * 1000)
        asked, woken = len(self.server.requests), time.thread_time()
        self.worker.once()
        if not self.accepted:
            return None
        at, processor = self.accepted[0]
        names = [query.get("newClientOrderId") for _, query in self.server.requests[asked:]]
        place = next(index for index, name in enumerate(names) if name is not None)
        return (at - close) / 1000, processor - woken, place + 1


def parser() -> ArgumentParser:
    """Return the command line."""
    parser = command_line(__spec__, __doc__)
    parser.add_argument("--candles", type=int, default=40, help="of each way to see a candle")
    parser.add_argument("--answer-ms", type=float, default=50.0)
    parser.add_argument("--settle-s", type=float, default=LiveConfig().settle_s)
    return parser


def main(candles: int, answer_ms: float, settle_s: float) -> None:
    """Print percentiles of both clocks, with and without a look before the close, and with a stream."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    model = make_model("autonomous")
    print(f"{answer_ms:g} ms for an answer, settle_s {settle_s:g}")
    ways = (AFTER, AHEAD, STREAMED) if settle_s > 0 else (AFTER, AHEAD)  # a stream shortens the wait after the close
    for how in ways:
        found = judge(model, candles, answer_ms / 1000, settle_s, how)
        walls, processor = ([one[place] * 1000 for one in found] for place in (0, 1))
        print(
            f"{how:22s} {len(found)} orders, "
            f"{int(np.median([one[2] for one in found]))} requests: close -> accepted "
            f"p50 {np.percentile(walls, 50):5.0f} ms p99 {np.percentile(walls, 99):5.0f} ms, processor time "
            f"p50 {np.percentile(processor, 50):5.1f} ms p99 {np.percentile(processor, 99):5.1f} ms"
        )


def judge(model: LiveModel, candles: int, answer_s: float, settle_s: float, how: str) -> list[tuple[float, float, int]]:
    """Return what `Scene.play` found of the orders after the warm-up."""
    history = model.agent.history_bars
    bars = generate("A", history + candles + WARM_UP + 4, generator(0, "benchmark", "live"), "1h")
    table = zip(bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True)
    rows = [(START + place * HOUR_MS, *map(float, values)) for place, values in enumerate(table)]
    first = START + (history + 3) * HOUR_MS  # the close before those that are judged
    server = SlowServer(rows, first + int(settle_s * 1000) + 100, answer_s)
    with tempfile.TemporaryDirectory() as folder, server:
        scene = Scene(server, model, settle_s, Path(folder))
        scene.worker.once()
        closes = range(first + HOUR_MS, first + (1 + candles + WARM_UP) * HOUR_MS, HOUR_MS)
        if how == STREAMED:
            scene.stream.start()
            wait_until(lambda: server.open_streams == 1, otherwise="nobody subscribed")
        found = [scene.play(close, how, settle_s) for close in closes]
        scene.stream.close()
    return [one for one in found[WARM_UP:] if one is not None]


if __name__ == "__main__":
    run_benchmark(parser(), main)
