"""An exchange on 127.0.0.1 that speaks the public endpoints of Binance and Kraken, and misbehaves on request.

    with ExchangeServer(bars, now_ms=...) as server:
        server.faults["klines"] = [too_many_requests("1"), cut_connection]
        ... ExchangeBars("binance", "BTC/USDT", "1h", base_url=server.url)
        assert server.asked("klines") == 3

Faults of an endpoint are used up in order, one per request; without one, it answers correctly. Like the real ones, the
last bar is the one still forming, and Kraken never goes back more than 720 bars whatever is asked.
"""

import gzip
import json
import sys
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby, pairwise
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from src.market.bars import timeframe_ms

Row = tuple[int, float, float, float, float, float]  # opening time in ms, open, high, low, close, volume

KRAKEN_BARS = 720


@dataclass
class Reply:
    """An answer on its way out; faults change it."""

    payload: Any
    rows: list[list[Any]] = field(default_factory=list)  # the bars inside `payload`, if it has any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None  # sent instead of the payload
    is_cut: bool = False
    is_dropped: bool = False  # nothing is answered at all
    delay_s: float = 0.0
    drip_s: float = 0.0  # after each byte of the head

    def encoded(self) -> bytes:
        return json.dumps(self.payload).encode() if self.body is None else self.body


Fault = Callable[[Reply], None]


def status(code: int, **headers: str) -> Fault:
    """Answer with an error status; underscores in header names become dashes."""

    def fault(reply: Reply) -> None:
        reply.status, reply.payload = code, {"msg": "no"}
        reply.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    return fault


def body(content: bytes) -> Fault:
    """Answer 200 with something else."""

    def fault(reply: Reply) -> None:
        reply.body = content

    return fault


def cut_connection(reply: Reply) -> None:
    """Close the connection in the middle of the body."""
    reply.is_cut = True


def dripping(reply: Reply) -> None:
    """Send the right answer so that every byte is in time, and all of it is not."""
    reply.drip_s = 0.1


def packed(megabytes: int, times: int = 1) -> Fault:
    """Send so many megabytes of nothing, packed once or more."""

    def fault(reply: Reply) -> None:
        packing = zlib.compressobj(9, wbits=31)
        content = b"".join(packing.compress(bytes(2**20)) for _ in range(megabytes)) + packing.flush()
        for _ in range(times - 1):
            content = gzip.compress(content)
        reply.body, reply.headers = content, {"Content-Encoding": ", ".join(["gzip"] * times)}

    return fault


def truncated(reply: Reply) -> None:
    """Send half of the JSON as if it were all."""
    reply.body = reply.encoded()[: len(reply.encoded()) // 2]


def rows(change: Callable[[list[list[Any]]], list[list[Any]]]) -> Fault:
    """Send other bars."""

    def fault(reply: Reply) -> None:
        reply.rows[:] = change(reply.rows)

    return fault


class ExchangeServer:
    """One market (BTC against USDT) with the given bars.

    Attributes:
        now_ms: the exchange's time; bars that open later do not exist yet.
        faults: what goes wrong next, by the last part of the path.
        requests: (endpoint, query) of every request, in order.
    """

    def __init__(self, bars: Sequence[Row], now_ms: int) -> None:
        self.bars = list(bars)
        self.now_ms = now_ms
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "ExchangeServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Base URL with its port."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, endpoint: str) -> int:
        """Number of requests to an endpoint so far."""
        return sum(name == endpoint for name, _ in self.requests)

    def answer(self, method: str, path: str, query: dict[str, str]) -> Reply:
        """Return the right answer to one request."""
        answer = _ENDPOINTS.get(path)
        return answer(self, query) if answer else Reply({"msg": f"no endpoint {path}"}, status=404)

    def reply(self, method: str, path: str, query: dict[str, str]) -> Reply:
        """Return the answer to one request, with the next fault of its endpoint."""
        endpoint = path.rsplit("/", 1)[-1]
        self.requests.append((endpoint, query))
        reply = self.answer(method, path, query)
        if self.faults[endpoint]:
            self.faults[endpoint].pop(0)(reply)
        return reply

    def upgraded(self, handler: BaseHTTPRequestHandler) -> None:
        """Speak on a connection that asks for websockets; this exchange has none."""
        handler.send_error(404)

    def opened(self) -> list[Row]:
        """Bars that have opened by now."""
        return [bar for bar in self.bars if bar[0] <= self.now_ms]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that was killed is what some tests are about.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: ExchangeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits for the acknowledgement of its header

        def do_GET(self) -> None:
            if self.headers.get("Upgrade") == "websocket":
                self.close_connection = True
                server.upgraded(self)
                return
            split = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            reply = server.reply(self.command, split.path, dict(parse_qsl(split.query) + parse_qsl(sent)))
            time.sleep(reply.delay_s)
            if reply.is_dropped:
                self.close_connection = True
                return
            content = reply.encoded()
            if reply.drip_s:
                self._drip(b"HTTP/1.1 200 OK\r\nServer: slow\r\n", reply.drip_s)
                self.wfile.write(f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
                return
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.is_cut else content)
            self.close_connection = reply.is_cut

        do_POST = do_DELETE = do_GET  # noqa: N815

        def _drip(self, content: bytes, every_s: float) -> None:
            for place in range(len(content)):
                self.wfile.write(content[place : place + 1])
                time.sleep(every_s)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


# --- Binance --------------------------------------------------------------------------------------------------------


def _in_bars_of(step_ms: int, bars: list[Row]) -> list[Row]:
    # Those there are, or made into longer ones.
    if len(bars) < 2 or step_ms <= min(later[0] - earlier[0] for earlier, later in pairwise(bars)):
        return bars
    groups = [list(group) for _, group in groupby(bars, key=lambda bar: bar[0] // step_ms)]
    return [
        (
            group[0][0] // step_ms * step_ms,
            group[0][1],
            max(bar[2] for bar in group),
            min(bar[3] for bar in group),
            group[-1][4],
            sum(bar[5] for bar in group),
        )
        for group in groups
    ]


def _binance_info(_server: ExchangeServer, _query: dict[str, str]) -> Reply:
    market = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            {"filterType": "NOTIONAL", "minNotional": "5", "maxNotional": "9000000"},
        ],
    }
    return Reply({"timezone": "UTC", "serverTime": 0, "symbols": [market]})


def _binance_time(server: ExchangeServer, _query: dict[str, str]) -> Reply:
    return Reply({"serverTime": server.now_ms})


def _binance_klines(server: ExchangeServer, query: dict[str, str]) -> Reply:
    since = int(query.get("startTime", 0))
    until = int(query.get("endTime", server.now_ms))
    bars = _in_bars_of(timeframe_ms(query["interval"]), server.opened())
    found = [bar for bar in bars if since <= bar[0] <= until][: int(query.get("limit", 500))]
    sent = [[bar[0], *map(str, bar[1:]), bar[0] + 1, "0", 1, "0", "0", "0"] for bar in found]
    return Reply(sent, rows=sent)


# --- Kraken ---------------------------------------------------------------------------------------------------------


def _kraken_assets(_server: ExchangeServer, _query: dict[str, str]) -> Reply:
    assets = {
        "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"},
        "USDT": {"aclass": "currency", "altname": "USDT", "decimals": 8, "display_decimals": 4, "status": "enabled"},
    }
    return Reply({"error": [], "result": assets})


def _kraken_pairs(_server: ExchangeServer, _query: dict[str, str]) -> Reply:
    pair = {
        "altname": "XBTUSDT",
        "wsname": "XBT/USDT",
        "base": "XXBT",
        "quote": "USDT",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]],
        "ordermin": "0.0001",
        "status": "online",
    }
    return Reply({"error": [], "result": {"XBTUSDT": pair}})


def _kraken_time(server: ExchangeServer, _query: dict[str, str]) -> Reply:
    return Reply({"error": [], "result": {"unixtime": server.now_ms // 1000, "rfc1123": ""}})


def _kraken_ohlc(server: ExchangeServer, query: dict[str, str]) -> Reply:
    since = int(query.get("since", 0)) * 1000
    found = [bar for bar in server.opened()[-KRAKEN_BARS:] if bar[0] > since]
    sent = [[bar[0] // 1000, *map(str, bar[1:5]), str(bar[4]), str(bar[5]), 1] for bar in found]
    return Reply({"error": [], "result": {"XBTUSDT": sent, "last": server.now_ms // 1000}}, rows=sent)


_ENDPOINTS: dict[str, Callable[[ExchangeServer, dict[str, str]], Reply]] = {
    "/api/v3/exchangeInfo": _binance_info,
    "/api/v3/time": _binance_time,
    "/api/v3/klines": _binance_klines,
    "/0/public/Assets": _kraken_assets,
    "/0/public/AssetPairs": _kraken_pairs,
    "/0/public/Time": _kraken_time,
    "/0/public/OHLC": _kraken_ohlc,
}
