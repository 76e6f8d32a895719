"""Clocks tests move by hand."""

from tests.support.fakes.exchange_server import ExchangeServer


class ServerClock:
    """A local clock that is `skew_ms` ahead of a server's; waiting moves the server's time."""

    def __init__(self, server: ExchangeServer, skew_ms: int = 0) -> None:
        self.server, self.skew_ms = server, skew_ms

    def now_ms(self) -> int:
        return self.server.now_ms + self.skew_ms

    def uptime_ms(self) -> int:
        return self.server.now_ms

    def sleep(self, seconds: float) -> None:
        self.server.now_ms += int(seconds * 1000)
