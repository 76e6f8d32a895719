"""`BookAccount`: a `BrokerAccount` on an `OrderBook`, whose requests take time: what is judged is what trades live."""

from decimal import Decimal
from typing import NamedTuple

from benchmarks.live.order_book import Fill, OrderBook, RestingOrder
from src.brokerage.broker_account import Balance, OrderReport, Quote, Trade
from src.errors import DataError, WouldTake
from src.execution.order_filters import MarketFilters, OrderShape
from src.execution.time_in_force import TimeInForce
from src.market.instrument import ROUND_THE_CLOCK, Instrument


class Latency(NamedTuple):
    """How long requests are on their way."""

    one_way_ms: float
    cancel_ms: float  # until a cancellation is heeded


class _Order:
    # One we sent, with what it traded at once; the rest may be in the book.
    def __init__(self, exchange_id: str, shape: OrderShape, fills: list[Fill], resting: RestingOrder | None) -> None:
        self.exchange_id, self.shape, self.taken, self.resting = exchange_id, shape, fills, resting
        self.is_cancelled = False

    @property
    def fills(self) -> list[Fill]:
        return self.taken + (self.resting.fills if self.resting is not None else [])

    @property
    def is_done(self) -> bool:
        return self.resting is None or self.is_cancelled or not self.resting.left


class BookAccount:
    """Owns what it needs, and pays no fees: they are added by whoever judges.

    Args:
        tick: of prices; lots are of 1/100 of a coin.
    """

    name, valid_ms, late_ms = "book", 5_000, 3_000
    lot = Decimal("0.01")

    def __init__(self, book: OrderBook, symbol: str, tick: Decimal, latency: Latency) -> None:
        self.book, self._latency = book, latency
        base, quote = symbol.split("/")
        self._instrument = Instrument(symbol, base, quote, ROUND_THE_CLOCK, self.lot, tick)
        self._orders: dict[str, _Order] = {}

    def fills(self) -> list[Fill]:
        """Return all that traded."""
        return [fill for order in self._orders.values() for fill in order.fills]

    def connect(self) -> None:
        """Nothing to read."""

    def sync_clock(self) -> int:
        """There is one clock."""
        return 0

    def now(self) -> int:
        """Ask for the time."""
        self._request()
        return self.now_ms()

    def now_ms(self) -> int:
        """Return the time without asking."""
        return int(self.book.time_ms)

    def wait(self, seconds: float) -> None:
        """Let the market go on."""
        self.book.advance(self.book.time_ms + seconds * 1000)

    def may_rest(self, seconds: float) -> bool:
        """Wait; orders may always rest."""
        self.wait(seconds)
        return True

    def filters(self, symbol: str) -> MarketFilters:
        """Return steps, without minima."""
        return MarketFilters(self._instrument, self.lot, None, Decimal(0), is_trading=True)

    def balance(self, coin: str) -> Balance:
        """Enough of all."""
        return Balance(Decimal(10**9), Decimal(10**9))

    def quote(self, symbol: str) -> Quote:
        """Return the best prices as they were half-way of the request."""
        self._travel(self._latency.one_way_ms)
        now, tick = self.book.now, self._instrument.tick
        self._travel(self._latency.one_way_ms)
        return Quote(now.bid * tick, now.ask * tick)

    def place(self, symbol: str, shape: OrderShape, client_id: str, sent_at: int) -> str:
        """Send an order.

        Raises:
            WouldTake: it is post-only and would have traded at once.
        """
        assert client_id not in self._orders, "an order is sent once"
        assert shape.price is not None, "styles name a price"
        sign, ticks, lots = (
            1 if shape.side == "buy" else -1,
            int(shape.price / self._instrument.tick),
            self._lots(shape),
        )
        self._travel(self._latency.one_way_ms)
        takes = self.book.would_take(sign, ticks)
        if takes and shape.time_in_force is TimeInForce.POST_ONLY:
            self._travel(self._latency.one_way_ms)
            raise WouldTake("it would have traded at once")
        fills = self.book.take(sign, lots, ticks) if takes else []
        left = lots - sum(fill.lots for fill in fills)
        resting = self.book.rest(sign, ticks, left) if left and shape.time_in_force.rests else None
        self._orders[client_id] = _Order(client_id, shape, fills, resting)
        self._travel(self._latency.one_way_ms)
        return client_id

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """Ask for an order."""
        self._request()
        order = self._orders.get(client_id)
        if order is None:
            return None
        filled = sum(fill.lots for fill in order.fills) * self.lot
        return OrderReport(order.exchange_id, client_id, order.is_done, filled)

    def cancel(self, symbol: str, report: OrderReport) -> None:
        """Take an order out of the book; until it is heeded, it may trade."""
        self._travel(self._latency.cancel_ms)
        self._orders[report.client_id].is_cancelled = True
        self.book.ours = None
        self._travel(self._latency.one_way_ms)

    def trades(self, symbol: str, since: int) -> list[Trade]:
        """Return what traded since a time."""
        self._request()
        return [
            Trade(
                trade_id=f"{order.exchange_id}-{place}",
                exchange_id=order.exchange_id,
                time=int(fill.time_ms),
                quantity=fill.lots * self.lot * (1 if order.shape.side == "buy" else -1),
                price=fill.ticks * self._instrument.tick,
                fee=Decimal(0),
                fee_coin=self._instrument.quote,
            )
            for order in self._orders.values()
            for place, fill in enumerate(order.fills)
            if fill.time_ms >= since
        ]

    def client_id_of(self, symbol: str, exchange_id: str) -> str:
        """Nobody else trades here."""
        raise DataError(f"there is no order {exchange_id}")

    def open_client_ids(self, symbol: str) -> list[str]:
        """Return those of orders in the book."""
        return [client_id for client_id, order in self._orders.items() if not order.is_done]

    def _lots(self, shape: OrderShape) -> int:
        return int(shape.amount / self.lot)

    def _request(self) -> None:
        self._travel(2 * self._latency.one_way_ms)

    def _travel(self, milliseconds: float) -> None:
        self.book.advance(self.book.time_ms + milliseconds)
