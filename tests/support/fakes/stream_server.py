"""`StreamServer`: the exchange of `account_server.py`, which also pushes candles over websockets, as Binance does.

server.push(server.kline(bar, is_final=True))    # to whoever has subscribed
server.send(frame(b"..."))                       # bytes as they are
server.cut()                                     # all streams at once
"""

import hashlib
import json
import threading
import time
from base64 import b64encode
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

from src.market.bars import timeframe_ms
from tests.support.fakes.account_server import AccountServer
from tests.support.fakes.exchange_server import Row

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class StreamServer(AccountServer):
    """See the module.

    Attributes:
        subscriptions: what was subscribed to, over all connections, in order.
        refuses: a stream that is asked for is answered with this status.
        is_mute: a subscription is not answered, and nothing is pushed.
    """

    def __init__(self, bars: Sequence[Row], now_ms: int) -> None:
        super().__init__(bars, now_ms)
        self.subscriptions: list[str] = []
        self.refuses = 0
        self.is_mute = False
        self._streams: list[Any] = []
        self._lock = threading.Lock()

    @property
    def open_streams(self) -> int:
        with self._lock:
            return len(self._streams)

    def kline(self, row: Sequence[float], is_final: bool, timeframe: str = "1h", **changes: Any) -> dict[str, Any]:
        """Return a candle as it is pushed; keywords replace what it says."""
        opened, close_time = int(row[0]), int(row[0]) + timeframe_ms(timeframe) - 1
        names = dict(zip("ohlcv", map(str, row[1:6]), strict=True))
        said = {"t": opened, "T": close_time, "s": "BTCUSDT", "i": timeframe, **names, "x": is_final, "n": 1}
        return {"e": "kline", "E": self.now_ms, "s": "BTCUSDT", "k": said | changes}

    def push(self, message: Any) -> None:
        self.send(frame(json.dumps(message).encode()))

    def send(self, content: bytes, drip_s: float = 0.0) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            for place in range(0, len(content), 1 if drip_s else len(content)):
                stream.wfile.write(content[place : place + 1] if drip_s else content)
                time.sleep(drip_s)

    def cut(self) -> None:
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.connection.shutdown(2)

    def upgraded(self, handler: BaseHTTPRequestHandler) -> None:
        if self.refuses:
            handler.send_error(self.refuses)
            return
        accept = b64encode(hashlib.sha1((handler.headers["Sec-WebSocket-Key"] + MAGIC).encode()).digest()).decode()
        handler.send_response(101)
        for name, value in {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            self._listen(handler)
        except OSError:
            pass
        finally:
            with self._lock:
                if handler in self._streams:
                    self._streams.remove(handler)

    def _listen(self, handler: BaseHTTPRequestHandler) -> None:
        while (said := _read_frame(handler)) is not None:
            kind, content = said
            if kind == CLOSE:
                return
            if kind == PING:
                handler.wfile.write(frame(content, PONG))
            if kind == TEXT and not self.is_mute:
                request = json.loads(content)
                self.subscriptions += request["params"]
                handler.wfile.write(frame(json.dumps({"result": None, "id": request["id"]}).encode()))
                with self._lock:
                    self._streams.append(handler)


def frame(content: bytes, kind: int = TEXT) -> bytes:
    """Return a message of a server."""
    size = bytes([len(content)]) if len(content) < 126 else bytes([126]) + len(content).to_bytes(2, "big")
    return bytes([0x80 | kind]) + size + content


def _read_frame(handler: BaseHTTPRequestHandler) -> tuple[int, bytes] | None:
    head = handler.rfile.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(handler.rfile.read(2), "big")
    mask, content = handler.rfile.read(4), handler.rfile.read(size)
    return head[0] & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
