"""`KrakenServer`: the account of `account_server.py` behind Kraken's private endpoints.

Kraken knows no time window for requests but a `deadline` for orders, and refuses a nonce below one it has seen: a
request that was overtaken is dead.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.support.fakes.account_server import WOULD_TAKE, AccountServer, Order
from tests.support.fakes.exchange_server import Reply, Row

PAGE_TRADES = 50  # newest first
STATUS = {
    "NEW": "open",
    "PARTIALLY_FILLED": "open",
    "FILLED": "closed",
    "EXPIRED": "canceled",
    "CANCELED": "canceled",
}
COINS = {"BTC": "XXBT", "USDT": "USDT"}
ERRORS = {-2010: "EOrder:Insufficient funds", -1013: "EGeneral:Invalid arguments:volume", -1021: "EAPI:Invalid nonce"}


class KrakenServer(AccountServer):
    """One account on Kraken."""

    last_nonce = 0

    def __init__(self, bars: Sequence[Row], now_ms: int) -> None:
        super().__init__(bars, now_ms)
        self.step = "0.00000001"

    def answer(self, method: str, path: str, query: dict[str, str]) -> Reply:
        if path == "/0/public/Depth":
            bid, ask = self.quote()
            sides = {"bids": [[str(bid), "5", 0]], "asks": [[str(ask), "5", 0]]}
            return Reply({"error": [], "result": {"XBTUSDT": sides}})
        if not path.startswith("/0/private/"):
            return super().answer(method, path, query)
        endpoint = path.rsplit("/", 1)[-1]
        if endpoint == "AddOrder":
            return self._place(_as_binance(query))
        if self.key_is_revoked:
            return failed("EAPI:Invalid key")
        if not self._is_in_time(query):
            return failed("EAPI:Invalid nonce")
        return _PRIVATE[endpoint](self, query)

    def _is_in_time(self, query: dict[str, str]) -> bool:
        nonce = int(query["nonce"])
        if nonce < self.last_nonce or nonce > self.now_ms + 5_000:
            return False
        self.last_nonce = nonce
        deadline = query.get("deadline")
        return deadline is None or datetime.fromisoformat(deadline).timestamp() * 1000 >= self.now_ms

    def _refused(self, query: dict[str, str]) -> Reply | None:
        if self.key_is_revoked:
            return failed("EAPI:Invalid key")
        return None if self._is_in_time(query) else failed("EAPI:Invalid nonce")

    def _place(self, query: dict[str, str]) -> Reply:
        reply = super()._place(query)
        if isinstance(reply.payload, dict) and "code" in reply.payload:
            if reply.payload.get("msg") == WOULD_TAKE:
                return failed("EOrder:Post only order")
            return failed(ERRORS.get(reply.payload["code"], "EGeneral:Internal error"))
        if isinstance(reply.payload, dict) and "orderId" in reply.payload:
            order = self.account.orders[-1]
            text = f"{order.side.lower()} {order.amount} XBTUSDT @ limit {order.price}"
            reply.payload = {"error": [], "result": {"descr": {"order": text}, "txid": [_id(order)]}}
        return reply


def failed(text: str) -> Reply:
    """Answer 200 with an error, as Kraken does."""
    return Reply({"error": [text]})


def _as_binance(query: dict[str, str]) -> dict[str, str]:
    named = {"side": query["type"].upper(), "quantity": query["volume"], "newClientOrderId": query["cl_ord_id"]}
    flags, is_stop = query.get("oflags", "").split(","), query["ordertype"] == "stop-loss"
    if is_stop:
        query = {name: value for name, value in query.items() if name != "price"} | {"stopPrice": query["price"]}
    return {
        **query,
        **named,
        "type": "LIMIT_MAKER" if "post" in flags else "LIMIT",
        "timeInForce": query.get("timeinforce", "IOC"),
    }


def _id(order: Order) -> str:
    return f"OORDER-{order.order_id:05d}-AAAAAA"


def _as_json(order: Order) -> dict[str, Any]:
    kind = "stop-loss" if order.stop_price else "limit" if order.price else "market"
    return {
        "refid": None,
        "userref": None,
        "cl_ord_id": order.client_id,
        "status": STATUS[order.status],
        "opentm": order.time / 1000,
        "descr": {
            "pair": "XBTUSDT",
            "type": order.side.lower(),
            "ordertype": kind,
            "price": str(order.stop_price or order.price or 0),
        },
        "vol": str(order.amount),
        "vol_exec": str(order.filled),
        "cost": str(order.cost),
        "fee": "0",
        "price": str(order.cost / order.filled if order.filled else 0),
        "oflags": "fciq",
    }


def _listed(server: AccountServer, query: dict[str, str], is_open: bool) -> dict[str, Any]:
    found = [order for order in server.account.orders if (STATUS[order.status] == "open") == is_open]
    wanted = query.get("cl_ord_id")
    for order in found if wanted is not None and is_open else ():
        if order.client_id == wanted and order.tif != "IOC":
            server.fill_resting(order)
    found = [order for order in server.account.orders if (STATUS[order.status] == "open") == is_open]
    return {_id(order): _as_json(order) for order in found if wanted in (None, order.client_id)}


def _open_orders(server: AccountServer, query: dict[str, str]) -> Reply:
    return Reply({"error": [], "result": {"open": _listed(server, query, is_open=True)}})


def _closed_orders(server: AccountServer, query: dict[str, str]) -> Reply:
    closed = _listed(server, query, is_open=False)
    return Reply({"error": [], "result": {"closed": closed, "count": len(closed)}})


def _query_orders(server: AccountServer, query: dict[str, str]) -> Reply:
    found = {_id(order): _as_json(order) for order in server.account.orders if _id(order) == query["txid"]}
    return Reply({"error": [], "result": found})


def _cancel_order(server: AccountServer, query: dict[str, str]) -> Reply:
    became = server.cancel(next((order for order in server.account.orders if _id(order) == query["txid"]), None))
    if became == "dropped":
        return Reply(None, is_dropped=True)
    return Reply({"error": [], "result": {"count": 1}}) if became == "done" else failed("EOrder:Unknown order")


def _trades(server: AccountServer, query: dict[str, str]) -> Reply:
    since, skipped = int(query.get("start", 0)) * 1000, int(query.get("ofs", 0))
    found = [trade for trade in reversed(server.account.trades) if trade.time > since]
    trades = {
        f"TTRADE-{trade.trade_id:05d}-AAAAAA": {
            "ordertxid": _id(trade.order),
            "pair": "XBTUSDT",
            "time": trade.time / 1000,
            "type": trade.order.side.lower(),
            "ordertype": "limit",
            "price": str(trade.price),
            "cost": str(trade.amount * trade.price),
            "fee": str(trade.fee),
            "vol": str(trade.amount),
        }
        for trade in found[skipped : skipped + PAGE_TRADES]
    }
    return Reply({"error": [], "result": {"trades": trades, "count": len(found)}})


def _balances(server: AccountServer, _query: dict[str, str]) -> Reply:
    owned = {
        COINS.get(c, c): {"balance": str(v), "hold_trade": str(server.locked(c))}
        for c, v in server.account.balances.items()
    }
    return Reply({"error": [], "result": owned})


_PRIVATE = {
    "OpenOrders": _open_orders,
    "ClosedOrders": _closed_orders,
    "QueryOrders": _query_orders,
    "CancelOrder": _cancel_order,
    "TradesHistory": _trades,
    "BalanceEx": _balances,
}
