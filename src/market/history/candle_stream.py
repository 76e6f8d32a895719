"""`CandleStream`: candles of one market as an exchange pushes them, in a thread of its own, through `ccxt.pro`.

It says only that a candle has finished, and with which values: earlier than asking does, and never enough to decide on
(`live.candle_feed` asks for the candle as well, and both have to agree). Whatever is odd about a stream, silence, a cut
or garbage, ends it: that is said once, nothing is taken from it meanwhile, and it is opened again after growing waits.
What it keeps is bounded.
"""

import asyncio
import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from src.command_line import not_installed
from src.errors import ConfigError, DataError
from src.market.bars import Bar, timeframe_ms
from src.market.history.exchange_bars import urls_at
from src.market.history.local_servers import require_local
from src.printable import escape

logger = logging.getLogger(__name__)

SILENT_S = 60.0  # where there are trades, Binance says something every two seconds
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
GRACE_S = 0.25  # from a candle's end to the question for it
KEPT = 4  # finished candles
ENDS_WITHIN_S = 5.0


class CandleStream:
    """The stream of one market.

    Args:
        name: exchange id as ccxt spells it.
        symbol: as the exchange spells it.
        markets: of the exchange, as ccxt keeps them, so that they need not be read again.
        base_url: another server for tests, on this machine only.
        silent_s: a stream that says nothing for so long has failed.
        first_wait_s: until it is opened again; each time twice as long.

    Attributes:
        wake: set when a candle has finished.

    Raises:
        ConfigError: ccxt is missing, the exchange streams no candles, or `base_url` is not local.
    """

    def __init__(
        self,
        name: str,
        symbol: str,
        timeframe: str,
        markets: Mapping[str, Any],
        base_url: str | None = None,
        silent_s: float = SILENT_S,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        self._symbol, self._timeframe, self._markets = symbol, timeframe, markets
        self._step_ms, self._base_url = timeframe_ms(timeframe), base_url
        self._silent_s, self._first_wait_s = silent_s, first_wait_s
        self._finished: deque[Bar] = deque(maxlen=KEPT)
        self._forming: Bar | None = None
        self._newest, self._is_up, self._is_told = 0, False, False
        self.wake = threading.Event()
        self._open = _opener(name, markets, base_url)
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"{symbol} stream", daemon=True)

    def start(self) -> None:
        """Open it in the background."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    def close(self) -> None:
        """End it; returns once its thread has ended, or after some seconds."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(ENDS_WITHIN_S)

    def finished(self, open_time: int) -> Bar | None:
        """Return the candle that opened then, if the stream is up and has said that it finished; by the newest word."""
        found = [bar for bar in tuple(self._finished) if bar.open_time == open_time]
        return found[-1] if found and self._is_up else None

    # In its thread.

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._keep_open())
        finally:
            self._loop.close()

    async def _keep_open(self) -> None:
        wait_s = self._first_wait_s
        while not self._stop.is_set():
            opened = self._loop.time()
            try:
                await self._listen()
            except Exception as error:  # whatever a server makes ccxt stumble over: then candles are polled
                self._fail(f"{type(error).__name__} {escape(' '.join(str(error).split()))[:160]}")
            if self._loop.time() - opened > LONGEST_WAIT_S:
                wait_s = self._first_wait_s
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _listen(self) -> None:
        # Until it fails, and raises why, or is told to stop.
        exchange, ended = self._open(self._take), asyncio.ensure_future(self._stop.wait())
        try:
            while not self._stop.is_set():
                said = asyncio.ensure_future(exchange.watch_ohlcv(self._symbol, self._timeframe))
                done, _ = await asyncio.wait({said, ended}, timeout=self._silent_s, return_when=asyncio.FIRST_COMPLETED)
                if said in done:
                    self._heard(said.result())
                    continue
                said.cancel()
                if not done:
                    raise DataError(f"it was silent for {self._silent_s:g} s")
        finally:
            ended.cancel()
            await exchange.close()

    def _heard(self, rows: list[list[Any]]) -> None:
        # A candle has finished once a later one is heard of, wherever exchanges do not say so.
        for row in rows:
            bar = self._bar(row)
            before = self._forming
            if before is not None and bar.open_time > before.open_time and self.finished(before.open_time) is None:
                self._end(before)
            if before is None or bar.open_time >= before.open_time:
                self._forming = bar

    def _take(self, message: Any) -> None:
        # Binance says whether a candle has finished, which ccxt leaves out.
        said = message.get("k", {}) if isinstance(message, dict) else {}
        if said.get("x") is True and said.get("s") == self._markets[self._symbol]["id"]:
            self._end(self._bar([said[name] for name in ("t", "o", "h", "l", "c", "v")]))

    def _bar(self, row: list[Any]) -> Bar:
        opened, *rest = int(row[0]), *map(float, row[1:6])
        first, high, low, last, volume = rest
        is_sound = all(map(math.isfinite, rest)) and 0 < low <= min(first, last) <= max(first, last) <= high
        if not is_sound or volume < 0 or opened % self._step_ms:
            raise DataError(f"it sent {row}, which is no candle")
        self._come_up()
        return Bar(opened, opened + self._step_ms, *rest)

    def _end(self, bar: Bar) -> None:
        if self._finished and bar == self._finished[-1]:
            return
        self._finished.append(bar)
        if bar.open_time > self._newest:
            self._newest = bar.open_time
            self._loop.call_later(GRACE_S, self.wake.set)

    def _come_up(self) -> None:
        if not self._is_up and self._is_told:
            logger.info("%s: the stream of candles is back", self._symbol)
            self._is_told = False
        self._is_up = True

    def _fail(self, reason: str) -> None:
        self._is_up, self._forming, self._newest = False, None, 0
        self._finished.clear()
        if not self._is_told and not self._stop.is_set():
            logger.warning("%s: the stream of candles failed (%s); polling until it is back", self._symbol, reason)
            self._is_told = True


def _opener(name: str, markets: Mapping[str, Any], base_url: str | None) -> Callable[[Callable[[Any], None]], Any]:
    # What opens an exchange whose messages about candles are passed on as they came.
    try:
        from ccxt import pro
    except ImportError as error:
        raise ConfigError(not_installed("ccxt")) from error
    if name not in pro.exchanges or not getattr(pro, name)().has.get("watchOHLCV"):
        raise ConfigError(f"{name} streams no candles; set candles: poll")
    if base_url is not None:
        require_local(base_url)

    def opened(take: Callable[[Any], None]) -> Any:
        exchange = getattr(pro, name)({"newUpdates": True, "enableRateLimit": base_url is None})
        exchange.options |= {"OHLCVLimit": KEPT, "decompressBinary": False}
        if base_url is not None:
            local = f"ws{base_url.removeprefix('http')}/stream"
            exchange.urls["api"] = urls_at(exchange.urls["api"], base_url) | {
                "ws": urls_at(exchange.urls["api"]["ws"], local)
            }
        exchange.set_markets(dict(markets))
        handle = exchange.handle_ohlcv

        def handled(client: Any, message: Any, *rest: Any) -> None:
            try:
                take(message)
                handle(client, message, *rest)
            except Exception as error:  # in ccxt's own loop it would end in silence
                client.reject(error)

        exchange.handle_ohlcv = handled
        return exchange

    return opened
