"""`TwoMarkets`: an exchange with BTC against USDT, and the same candles again as ETH against EUR, on one account."""

import json
from collections.abc import Sequence

from tests.support.fakes.exchange_server import Reply, Row
from tests.support.live_champion import RealTimeServer

NAMES = {"BTCUSDT": "ETHEUR", '"BTC"': '"ETH"', '"USDT"': '"EUR"'}


class TwoMarkets(RealTimeServer):
    """Answers for ETH/EUR from a server of its own, with other names; their balances are those of one account."""

    def __init__(self, bars: Sequence[Row]) -> None:
        super().__init__(bars)
        self.other = RealTimeServer(bars)
        self.other._server.server_close()

    def answer(self, method: str, path: str, query: dict[str, str]) -> Reply:
        if query.get("symbol") == "ETHEUR":
            return _renamed(self.other.answer(method, path, query))
        reply = super().answer(method, path, query)
        for name in ("symbols", "balances"):
            if isinstance(reply.payload, dict) and name in reply.payload:
                reply.payload[name] += _renamed(self.other.answer(method, path, query)).payload[name]
        return reply


def _renamed(reply: Reply) -> Reply:
    text = json.dumps(reply.payload)
    for ours, theirs in NAMES.items():
        text = text.replace(ours, theirs)
    reply.payload = json.loads(text)
    return reply
