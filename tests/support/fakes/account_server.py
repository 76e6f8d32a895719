"""`AccountServer`: the exchange of `exchange_server.py` with an account on it: orders, trades and balances.

Orders are limit (immediate or cancel) and market orders at `price`. How they fill and how their request fares is said
ahead:

    server.fates = ["cut after accept"]      # of the next orders, one each
    server.fill_plan = [0.4]                 # fractions the next orders trade at once
    server.fee_coin = "BTC"

An order that is not immediate or cancel rests unless it meets `quote()`, and a post-only one is refused if it does:

    server.rest_plan = [0.0, 0.4]            # fractions it trades, one each time it is asked for
    server.cancel_fates = ["cut"]            # of the next cancellations

Fates: `ok`; `lost` (nothing arrives); `cut after accept`; `hang after accept` (longer than a client waits);
`dripping` (as long, a byte at a time); `late` (arrives when `deliver_late` is called, and is judged by its time stamp
then); `garbage` bodies and statuses as `body:...` and `status:...`; `accepted:503` (accepted, and answered with that
status); a number such as `-2010` answers with that error code and places nothing; `redirected:307:URL` (accepted, and
sent elsewhere).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.fakes.exchange_server import ExchangeServer, Reply, Row, dripping

AHEAD_MS = 1_000
HANG_S = 2.0
FEE_FRAC = Decimal("0.001")
OPEN = ("NEW", "PARTIALLY_FILLED")
WOULD_TAKE = "Order would immediately match and take."
MESSAGES = {
    -1003: "Too many requests.",
    -1013: "Filter failure: LOT_SIZE",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -2010: "Account has insufficient balance for requested action.",
    -2013: "Order does not exist.",
    -2015: "Invalid API-key, IP, or permissions for action.",
}


@dataclass
class Order:
    order_id: int
    client_id: str
    side: str
    amount: Decimal
    price: Decimal | None
    time: int
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    status: str = "NEW"
    tif: str = "IOC"
    stop_price: Decimal | None = None

    @property
    def is_waiting(self) -> bool:
        """A stop whose price was not reached yet."""
        return self.stop_price is not None and self.status == "NEW"

    def needs(self, coin: str) -> Decimal:
        """What the rest of it may cost of a coin."""
        rest = self.amount - self.filled
        if coin == "BTC":
            return rest if self.side == "SELL" else Decimal(0)
        return rest * self.price if self.side == "BUY" and self.price is not None else Decimal(0)


@dataclass
class Execution:
    trade_id: int
    order: Order
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_coin: str
    time: int

    @property
    def units(self) -> Decimal:
        return self.amount if self.order.side == "BUY" else -self.amount


@dataclass
class Account:
    """What the exchange knows of us."""

    balances: dict[str, Decimal] = field(default_factory=lambda: {"BTC": Decimal(0), "USDT": Decimal(10_000)})
    orders: list[Order] = field(default_factory=list)
    trades: list[Execution] = field(default_factory=list)


class AccountServer(ExchangeServer):
    """See the module; `price` is where the market stands, None means the close of the newest bar that has opened."""

    def __init__(self, bars: Sequence[Row], now_ms: int) -> None:
        super().__init__(bars, now_ms)
        self.account = Account()
        self.price: Decimal | None = None
        self.fates: list[str] = []
        self.fill_plan: list[float] = []
        self.executions = 1  # into which each fill is cut
        self.fee_coin = "USDT"
        self.keeps_rest = False  # what does not fill at once stays open, whatever was asked for
        self.half_spread = Decimal("0.05")
        self.rest_plan: list[float] = []  # fractions an order that rests trades each time it is asked for
        self.cancel_fates: list[str] = []
        self.step, self.tick, self.min_notional, self.max_amount = "0.00001", "0.01", "5", "9000"
        self.market_status = "TRADING"
        self.order_types = ["LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"]
        self.stop_fates: list[str] = []  # as `fates`, of the next stops
        self.stop_share = Decimal(1)  # of a stop that trades once its price is reached
        self.key_is_revoked = False
        self.posts: list[dict[str, str]] = []
        self._late: list[dict[str, str]] = []

    # What tests do to the account.

    def market_price(self) -> Decimal:
        opened = self.opened()
        if self.price is not None or not opened:
            return self.price or Decimal(100)
        return Decimal(str(opened[-1][1]))

    def quote(self) -> tuple[Decimal, Decimal]:
        """Best bid and best ask."""
        price = self.market_price()
        return price - self.half_spread, price + self.half_spread

    def deliver_late(self) -> None:
        """Let the late requests arrive now."""
        late, self._late = self._late, []
        for query in late:
            if self._is_in_time(query):
                self._accept(query)

    def fill_rest(self) -> None:
        """Let open orders trade what is left of them."""
        for order in self.account.orders:
            if order.status in OPEN:
                self._execute(order, order.amount - order.filled)
                order.status = "FILLED"

    def trade_by_hand(self, side: str, amount: str, client_id: str = "web_4711") -> None:
        """Let a person, or another bot, trade on the account."""
        order = Order(len(self.account.orders) + 1, client_id, side, Decimal(amount), None, self.now_ms)
        self.account.orders.append(order)
        self._execute(order, order.amount)
        order.status = "FILLED"

    def rest_by_hand(self, side: str, amount: str, price: str, client_id: str = "web_4712") -> Order:
        """Let a person place a limit order that rests; what it may need is locked."""
        number = len(self.account.orders) + 1
        order = Order(number, client_id, side, Decimal(amount), Decimal(price), self.now_ms, tif="GTC")
        self.account.orders.append(order)
        return order

    def locked(self, coin: str) -> Decimal:
        """What open orders may need of a coin."""
        resting = [order for order in self.account.orders if order.status in OPEN]
        return sum((order.needs(coin) for order in resting), Decimal(0))

    def ours(self, prefix: str = "st") -> list[Order]:
        return [order for order in self.account.orders if order.client_id.startswith(prefix)]

    def stops(self) -> list[Order]:
        """Stops that rest."""
        return [order for order in self.account.orders if order.stop_price is not None and order.status in OPEN]

    def fall_to(self, price: str, then: str | None = None) -> None:
        """Let the market fall, through the stops, and be at `then` afterwards."""
        self.price = Decimal(price)
        self._reach_stops()
        self.price = Decimal(then) if then is not None else self.price

    def _reach_stops(self) -> None:
        for order in self.account.orders:
            if order.stop_price is None or not order.is_waiting or self.market_price() > order.stop_price:
                continue
            if order.price is not None and self.market_price() < order.price:
                continue  # through the limit, too: it stands above the market
            self._execute(order, order.amount * self.stop_share // Decimal(self.step) * Decimal(self.step))
            order.status = "FILLED" if order.filled == order.amount else "PARTIALLY_FILLED"

    # The exchange.

    def answer(self, method: str, path: str, query: dict[str, str]) -> Reply:
        if path == "/api/v3/order" and method == "POST":
            return self._place(query)
        private = _PRIVATE.get((method, path))
        if private is None:
            reply = super().answer(method, path, query)
            return self._with_filters(reply) if path.endswith("exchangeInfo") else reply
        refused = self._refused(query)
        return refused if refused is not None else private(self, query)

    def fill_resting(self, order: Order) -> None:
        """Let an order that rests trade what the plan says, at its own price."""
        if order.status in OPEN and self.rest_plan:
            part = order.amount * Decimal(str(self.rest_plan.pop(0)))
            if (now := min(part // Decimal(self.step) * Decimal(self.step), order.amount - order.filled)) > 0:
                self._execute(order, now)
                order.status = "FILLED" if order.filled == order.amount else "PARTIALLY_FILLED"

    def cancel(self, order: Order | None) -> str:
        """Cancel an order as the next fate says; return `done`, `unknown`, `garbage` or `dropped`."""
        fate = self.cancel_fates.pop(0) if self.cancel_fates else "ok"
        if fate == "lost":
            return "dropped"
        if fate.startswith("falls:"):  # to a price, before the request arrives
            self.fall_to(fate.removeprefix("falls:"))
        if order is not None and order.status in OPEN and fate.startswith("filled first"):
            self._execute(order, order.amount - order.filled)
            order.status = "FILLED"
        is_open = order is not None and order.status in OPEN
        if order is not None and is_open:
            order.status = "CANCELED"
        if fate.endswith("cut"):
            return "dropped"
        if fate == "garbage":
            return "garbage"
        return "done" if is_open else "unknown"

    def _with_filters(self, reply: Reply) -> Reply:
        market = reply.payload["symbols"][0]
        market["status"], market["orderTypes"] = self.market_status, self.order_types
        market["filters"] = [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": self.tick},
            {"filterType": "LOT_SIZE", "minQty": self.step, "maxQty": self.max_amount, "stepSize": self.step},
            {"filterType": "NOTIONAL", "minNotional": self.min_notional, "maxNotional": "9000000"},
        ]
        return reply

    def _is_in_time(self, query: dict[str, str]) -> bool:
        sent, window = int(query["timestamp"]), int(query.get("recvWindow", 5000))
        return sent < self.now_ms + AHEAD_MS and self.now_ms - sent <= window

    def _refused(self, query: dict[str, str]) -> Reply | None:
        if self.key_is_revoked:
            return error(-2015, 401)
        if "timestamp" in query and not self._is_in_time(query):
            return error(-1021)
        return None

    def _place(self, query: dict[str, str]) -> Reply:
        self.posts.append(query)
        fates = self.stop_fates if "stopPrice" in query else self.fates
        fate = fates.pop(0) if fates else "ok"
        if fate == "lost":
            return Reply(None, is_dropped=True)
        if fate == "late":
            self._late.append(query)
            return Reply(None, is_dropped=True)
        if fate.startswith("status:"):
            code, _, retry_after = fate.removeprefix("status:").partition(":")
            headers = {"Retry-After": retry_after} if retry_after else {}
            return Reply({"msg": "no"}, status=int(code), headers=headers)
        if fate.lstrip("-").isdigit():
            return error(int(fate))
        refused = self._refused(query)
        if refused is not None:
            return refused
        return _on_its_way(self._accept(query), fate)

    def _accept(self, query: dict[str, str]) -> Reply:
        amount = Decimal(query["quantity"])
        price = Decimal(query["price"]) if "price" in query else None
        at = price or self.market_price()
        is_sized = 0 < amount <= Decimal(self.max_amount) and amount % Decimal(self.step) == 0
        if not is_sized or amount * at < Decimal(self.min_notional):
            return error(-1013)
        known = [o for o in self.account.orders if o.client_id == query["newClientOrderId"]]
        if any(order.status in OPEN for order in known):
            return Reply({"code": -2010, "msg": "Duplicate order sent."}, status=400)
        coin = "USDT" if query["side"] == "BUY" else "BTC"
        have = self.account.balances[coin] - self.locked(coin)
        if (amount * self.market_price() if query["side"] == "BUY" else amount) > have:
            return error(-2010)
        tif = "PO" if query.get("type") == "LIMIT_MAKER" else query.get("timeInForce", "IOC")
        bid, ask = self.quote()
        is_taking = price is None or (price >= ask if query["side"] == "BUY" else price <= bid)
        stop_price = Decimal(query["stopPrice"]) if "stopPrice" in query else None
        if stop_price is not None and stop_price >= self.market_price():
            return Reply({"code": -2010, "msg": "Stop price would trigger immediately."}, status=400)
        if tif == "PO" and is_taking:
            return Reply({"code": -2010, "msg": WOULD_TAKE}, status=400)
        number, client_id = len(self.account.orders) + 1, query["newClientOrderId"]
        order = Order(number, client_id, query["side"], amount, price, self.now_ms, tif=tif, stop_price=stop_price)
        self.account.orders.append(order)
        if stop_price is not None or (tif != "IOC" and not is_taking):
            return Reply(_as_json(order))
        part = Decimal(str(self.fill_plan.pop(0))) if self.fill_plan else Decimal(1)
        limit_is_met = (
            price is None or (price >= self.market_price()) == (order.side == "BUY") or (price == self.market_price())
        )
        now = (amount * part) // Decimal(self.step) * Decimal(self.step) if limit_is_met else Decimal(0)
        if now > 0:
            self._execute(order, now)
        if order.filled == amount:
            order.status = "FILLED"
        elif self.keeps_rest or tif != "IOC":
            order.status = "PARTIALLY_FILLED" if order.filled else "NEW"
        else:
            order.status = "EXPIRED"
        return Reply(_as_json(order))

    def _execute(self, order: Order, amount: Decimal) -> None:
        each = amount / self.executions // Decimal(self.step) * Decimal(self.step)
        for part in [each] * (self.executions - 1):
            self._trade(order, part)
        self._trade(order, amount - each * (self.executions - 1))

    def _trade(self, order: Order, amount: Decimal) -> None:
        price = self.market_price() if order.tif == "IOC" or order.price is None else order.price
        coin = self.fee_coin if self.fee_coin != "base on buy" else ("BTC" if order.side == "BUY" else "USDT")
        fee = amount * FEE_FRAC * (1 if coin == "BTC" else price)
        sign = 1 if order.side == "BUY" else -1
        self.account.balances["BTC"] += sign * amount
        self.account.balances["USDT"] -= sign * amount * price
        self.account.balances[coin] = self.account.balances.get(coin, Decimal(0)) - fee
        trade_id = len(self.account.trades) + 1
        self.account.trades.append(Execution(trade_id, order, amount, price, fee, coin, self.now_ms))
        order.filled += amount
        order.cost += amount * price


def _on_its_way(reply: Reply, fate: str) -> Reply:
    # What becomes of the answer to an order that was accepted.
    if fate == "cut after accept":
        reply.is_dropped = True
    elif fate == "cut mid-body":
        reply.is_cut = True
    elif fate == "hang after accept":
        reply.delay_s, reply.is_dropped = HANG_S, True
    elif fate == "dripping":
        dripping(reply)
    elif fate.startswith("redirected:"):
        _, code, url = fate.split(":", 2)
        return Reply({}, status=int(code), headers={"Location": url})
    elif fate.startswith("accepted:"):
        return Reply({"msg": "no"}, status=int(fate.removeprefix("accepted:")))
    elif fate.startswith("body:"):
        reply.body = fate.removeprefix("body:").encode()
    return reply


def error(code: int, status: int = 400) -> Reply:
    """Answer with an error of Binance."""
    return Reply({"code": code, "msg": MESSAGES.get(code, "Something is wrong.")}, status=status)


def _as_json(order: Order) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.time,
        "time": order.time,
        "updateTime": order.time,
        "price": str(order.price or 0),
        "origQty": str(order.amount),
        "executedQty": str(order.filled),
        "cummulativeQuoteQty": str(order.cost),
        "status": order.status,
        "timeInForce": order.tif,
        "type": _type(order),
        "stopPrice": str(order.stop_price or 0),
        "side": order.side,
    }


def _find(server: AccountServer, query: dict[str, str]) -> Order | None:
    for order in reversed(server.account.orders):
        if query.get("orderId") == str(order.order_id) or query.get("origClientOrderId") == order.client_id:
            return order
    return None


def _query_order(server: AccountServer, query: dict[str, str]) -> Reply:
    order = _find(server, query)
    if order is None:
        return error(-2013)
    if order.tif != "IOC" and order.stop_price is None:
        server.fill_resting(order)
    return Reply(_as_json(order))


def _depth(server: AccountServer, _query: dict[str, str]) -> Reply:
    bid, ask = server.quote()
    return Reply({"lastUpdateId": 1, "bids": [[str(bid), "5"]], "asks": [[str(ask), "5"]]})


def _type(order: Order) -> str:
    if order.stop_price is not None:
        return "STOP_LOSS_LIMIT" if order.price else "STOP_LOSS"
    return "LIMIT" if order.price else "MARKET"


def _cancel_order(server: AccountServer, query: dict[str, str]) -> Reply:
    order = _find(server, query)
    became = server.cancel(order)
    if became == "dropped":
        return Reply(None, is_dropped=True)
    if became == "garbage":
        return Reply(None, body=b"<html></html>")
    if became == "unknown" or order is None:
        return Reply({"code": -2011, "msg": "Unknown order sent."}, status=400)
    return Reply(_as_json(order))


def _open_orders(server: AccountServer, _query: dict[str, str]) -> Reply:
    waiting = [o for o in server.account.orders if o.status in OPEN]
    return Reply([_as_json(order) for order in waiting])


def _my_trades(server: AccountServer, query: dict[str, str]) -> Reply:
    since, first_id, most = (int(query.get(name, 0)) for name in ("startTime", "fromId", "limit"))
    if since and first_id:
        return error(-1128)
    trades = [
        {
            "symbol": "BTCUSDT",
            "id": trade.trade_id,
            "orderId": trade.order.order_id,
            "price": str(trade.price),
            "qty": str(trade.amount),
            "quoteQty": str(trade.amount * trade.price),
            "commission": str(trade.fee),
            "commissionAsset": trade.fee_coin,
            "time": trade.time,
            "isBuyer": trade.order.side == "BUY",
            "isMaker": False,
        }
        for trade in server.account.trades
        if trade.time >= since and trade.trade_id >= first_id
    ][: min(most or 500, 1_000)]
    return Reply(trades, rows=trades)


def _balances(server: AccountServer, _query: dict[str, str]) -> Reply:
    locked = {coin: server.locked(coin) for coin in server.account.balances}
    owned = [
        {"asset": coin, "free": str(total - locked[coin]), "locked": str(locked[coin])}
        for coin, total in server.account.balances.items()
    ]
    return Reply({"balances": owned, "canTrade": True, "makerCommission": 10, "takerCommission": 10})


_PRIVATE = {
    ("GET", "/api/v3/depth"): _depth,
    ("GET", "/api/v3/order"): _query_order,
    ("DELETE", "/api/v3/order"): _cancel_order,
    ("GET", "/api/v3/openOrders"): _open_orders,
    ("GET", "/api/v3/myTrades"): _my_trades,
    ("GET", "/api/v3/account"): _balances,
}
