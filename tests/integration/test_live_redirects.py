"""Redirects are not followed: one would repeat an order, or carry key and signature to another host."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from src.errors import DataError
from src.live.live_guard import RiskState
from src.live.watching.notify import apprise_sender
from src.market.history.exchange_bars import ExchangeBars
from tests.support.fakes.exchange_server import status
from tests.support.live_scene import Stage
from tests.support.live_setup import START

CODES = [301, 302, 303, 307, 308]


class Host:
    """Another host: it notes who calls, and answers `code`, which may send the caller on."""

    def __init__(self, code: int = 200, to: str = "") -> None:
        host = self
        self.called: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.called.append(self.path)
                self.send_response(code)
                self.send_header("Location", to)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stranger() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("where", ["back", "to a stranger"])
def test_50_a_redirected_order_is_sent_once_and_to_nobody_else(
    tmp_path: Path, stranger: Host, code: int, where: str
) -> None:
    with Stage(tmp_path, [1.0, 1.0, 0.0, 0.0]) as stage:
        host = stage.server.url if where == "back" else f"http://{stranger.address}"
        stage.server.fates = [f"redirected:{code}:{host}/api/v3/order"]
        stage.play(1)
        assert len(stage.server.posts) == len(stage.server.account.orders) == 1
        assert stranger.called == []
        stage.check()
        stage.play(3)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert stage.state is RiskState.ACTIVE


@pytest.mark.parametrize("endpoint", ["account", "order", "myTrades", "klines", "time"])
def test_50_a_redirected_question_is_asked_again_where_it_belongs(
    tmp_path: Path, stranger: Host, endpoint: str
) -> None:
    with Stage(tmp_path, [1.0, 0.0]) as stage:
        stage.server.faults[endpoint] = [status(302, Location=f"http://{stranger.address}/")]
        stage.play(3)
        stage.check()
        assert stranger.called == []
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]


def test_50_a_download_that_is_redirected_is_refused(tmp_path: Path, stranger: Host) -> None:
    with Stage(tmp_path) as stage:
        source = ExchangeBars("binance", "BTC/USDT", "1h", stage.server.url, sleep=lambda seconds: None)
        source.connect()
        stage.server.faults["klines"] = [status(307, Location=f"http://{stranger.address}/")] * 100
        with pytest.raises(DataError, match="redirected with status 307, which is not followed"):
            source.page(START)
        assert stranger.called == []


@pytest.mark.parametrize("asked", ["", "?redirect=yes"])
def test_50_a_notification_that_is_redirected_goes_nowhere(stranger: Host, asked: str) -> None:
    service = Host(307, f"http://{stranger.address}/")
    send = apprise_sender([f"json://{service.address}/{asked}"])
    assert send is not None
    assert send("error", "the account is HALTED") is False
    assert (len(service.called), stranger.called) == (1, [])
    service.close()
