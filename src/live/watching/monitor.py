"""`Monitor`: `/health` and `/metrics` for machines that watch the bot. It reads views and never touches trading.

`/health` answers 200, or 503 with the reasons; `/metrics` is Prometheus text. Both run in daemon threads, so a client
that hangs holds up nothing.
"""

import io
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from src.brokerage.redaction import redact
from src.config.live import LiveConfig
from src.errors import ConfigError
from src.live.live_guard import RiskState
from src.live.trader import Trader
from src.live.watching.totals import equity_by_currency
from src.market.history.bounded_answers import TimedBytes

logger = logging.getLogger(__name__)

CLIENT_TIMEOUT_S = 5.0
MOST_CLIENTS = 32


class Monitor:
    """Health and metrics of a bot.

    Args:
        is_live: whether accounts are reconciled with an exchange.
    """

    def __init__(self, traders: Sequence[Trader], config: LiveConfig, is_live: bool) -> None:
        self._traders, self._config, self._is_live = traders, config, is_live
        self._registry = CollectorRegistry()
        self._registry.register(_Views(self))
        self._server: ThreadingHTTPServer | None = None

    def complaints(self) -> list[str]:
        """Return what is wrong, one sentence each; nothing while all is well."""
        return [f"{trader.symbol}: {text}" for trader in self._traders for text in self._complaints_of(trader)]

    def states(self) -> dict[str, str]:
        """Return the risk state of every symbol."""
        return {trader.symbol: trader.guard.state.name for trader in self._traders}

    def metrics(self) -> bytes:
        """Return all metrics as Prometheus text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of every trader."""
        gauges: dict[str, tuple[str, Callable[[Trader], float]]] = {
            "equity": ("Equity in the currency the symbol is quoted in", lambda t: t.view.equity),
            "units": ("Units held, negative when short", lambda t: t.view.units),
            "target": ("Exposure in force", lambda t: t.view.target),
            "risk_state": ("0 active, 1 paused, 2 reducing, 3 halted", lambda t: float(t.guard.state)),
            "candle_age_seconds": ("Since the last processed candle closed", self.candle_age_s),
            "reconcile_age_seconds": ("Since account and journal last agreed", self._reconcile_age_s),
            "clock_offset_seconds": ("Exchange time minus local time", lambda t: t.view.clock_offset_ms / 1000),
            "decision_seconds": ("Work from a candle to its recorded decision", lambda t: t.view.decision_ms / 1000),
        }
        counters: dict[str, tuple[str, Callable[[Trader], float]]] = {
            "decisions": ("Candles decided on", lambda t: t.view.decided),
            "passed_over": ("Candles processed without a decision", lambda t: t.view.passed_over),
            "refused": ("Candles on which nothing came of what was wanted", lambda t: t.view.refused),
            "orders": ("Orders decided", lambda t: t.view.orders),
        }
        for name, (text, value) in {**gauges, **counters}.items():
            family: Any = CounterMetricFamily if name in counters else GaugeMetricFamily
            metric = family(f"supertrader_{name}", text, labels=["symbol"])
            for trader in self._traders:
                metric.add_metric([trader.symbol], value(trader))
            yield metric
        together = GaugeMetricFamily(
            "supertrader_equity_together", "Equity of the symbols quoted in a currency", labels=["currency"]
        )
        for currency, total in equity_by_currency(self._traders).items():
            together.add_metric([currency], total)
        yield together
        yield GaugeMetricFamily("supertrader_healthy", "1 while nothing is wrong", value=float(not self.complaints()))

    def candle_age_s(self, trader: Trader) -> float:
        """Return the seconds since the last processed candle closed."""
        return (trader.exchange_now() - trader.view.last_close) / 1000 if trader.view.last_close else 0.0

    def _reconcile_age_s(self, trader: Trader) -> float:
        return (trader.exchange_now() - trader.view.last_settled) / 1000 if trader.view.last_settled else 0.0

    def _complaints_of(self, trader: Trader) -> Iterator[str]:
        view, step_s = trader.view, trader.step_ms / 1000
        longest_s = step_s + min(step_s * self._config.decision_window_frac, self._config.max_silence_s)
        if trader.guard.state >= RiskState.REDUCING:  # a pause is what a person asked for
            yield f"{trader.guard.state.name}: {trader.guard.reason}"
        if view.trouble:
            yield view.trouble
        if view.refusal:
            yield view.refusal
        if view.unprotected:
            yield view.unprotected
        if self.candle_age_s(trader) > longest_s:
            yield f"the last candle closed {self.candle_age_s(trader):.0f} s ago"
        if self._is_live and self._reconcile_age_s(trader) > longest_s:
            yield f"account and journal last agreed {self._reconcile_age_s(trader):.0f} s ago"
        if abs(view.clock_offset_ms) > self._config.max_clock_offset_s * 1000:
            yield f"the local clock is {-view.clock_offset_ms / 1000:+.1f} s off; synchronise it"
        if view.pulse.is_missing:
            yield "its worker does not move"

    def serve(self) -> int:
        """Answer in the background; return the port.

        Raises:
            ConfigError: the address is taken.
        """
        try:
            self._server = _Server((self._config.http_host, self._config.http_port), _handler(self))
        except OSError as error:
            raise ConfigError(
                f"http_port {self._config.http_port} on {self._config.http_host} cannot be used ({error.strerror}); "
                "choose another, or 0 for none"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True).start()
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Views(Collector):
    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def collect(self) -> Iterator[Metric]:
        return self._monitor.collect()

    def describe(self) -> list[Metric]:
        return []


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * MOST_CLIENTS

    def __init__(self, *arguments: Any) -> None:
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        # A newcomer is always answered: the oldest of too many gives way.
        with self._lock:
            self._open.append(request)
            oldest = self._open.pop(0) if len(self._open) > MOST_CLIENTS else None
        if oldest is not None:
            with suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock, suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Python's own way prints a traceback, past the log and what it redacts.
        if not isinstance(error := sys.exception(), OSError):  # those are clients that hang up
            logger.error("health or metrics failed: %s", redact(repr(error)))


def _handler(monitor: Monitor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S

        def setup(self) -> None:
            # All of a request has to be there in time, however it drips.
            super().setup()
            self.rfile = io.BufferedReader(TimedBytes(self.rfile.detach(), self.connection))

        def do_GET(self) -> None:
            if self.path == "/health":
                complaints = [redact(text) for text in monitor.complaints()]
                status = "unhealthy" if complaints else "ok"
                found = {"status": status, "reasons": complaints, "states": monitor.states()}
                self._answer(503 if complaints else 200, "application/json", json.dumps(found).encode())
            elif self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", monitor.metrics())
            else:
                self._answer(404, "text/plain", b"there are /health and /metrics\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    return Handler
