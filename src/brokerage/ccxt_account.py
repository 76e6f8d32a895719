"""`CcxtAccount`: a `BrokerAccount` on the spot markets of an exchange, through ccxt.

What ccxt says about placing an order is sorted into two: answers that prove that nothing was placed raise
`OrderRefused`; everything else, Python's own errors and an HTTP 200 without the order's id among them, raises
`OutcomeUnknown`, and the order is asked for by its client id. Reading is safe to repeat and is repeated a few times.

Covered: network faults and garbage at every call, throttling and bans (no request until the ban is over), revoked keys,
a wrong local clock. Exercised with Binance and Kraken (`exchange_quirks.py`). Not covered: margin and derivatives, and
exchanges that know no client order id.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential

from src.brokerage.broker_account import Balance, Keys, OrderReport, Quote, Trade
from src.brokerage.clock import Clock
from src.brokerage.exchange_quirks import TradesPage, quirks_of
from src.brokerage.redaction import learn_secret, redact
from src.errors import (
    ConfigError,
    DataError,
    OrderRefused,
    OutcomeUnknown,
    TradingHalted,
    TransientError,
    WouldTake,
)
from src.execution.order_filters import MarketFilters, OrderShape
from src.execution.time_in_force import TimeInForce
from src.market.history.exchange_bars import PARSER_ERRORS, import_ccxt, open_exchange
from src.market.history.exchange_pause import ExchangePause
from src.market.instrument import ROUND_THE_CLOCK, Instrument
from src.printable import escape

logger = logging.getLogger(__name__)

TIMEOUT_MS = 10_000  # of a whole answer; after two of them, reading is not repeated
READ_TRIES = 3
BOOK_LEVELS = 5  # the least that Binance sends
MAX_READ_WAIT_S = 4.0
SHORTEST_PAUSE_S = 1.0  # after a throttle that names none

Answer = TypeVar("Answer")

# Proof that nothing was placed. Their subclasses count too, but for the exceptions below.
_REFUSALS = (
    "InsufficientFunds",
    "InvalidOrder",
    "BadRequest",
    "MarketClosed",
    "AuthenticationError",
    "InvalidNonce",
    "DDoSProtection",
    "RateLimitExceeded",
)
# A duplicate exists already; "not found" when placing makes no sense.
_NO_REFUSALS = ("DuplicateOrderId", "OrderNotFound")
_WOULD_TAKE = ("immediately match and take", "post only order")  # in messages about post-only orders
_NOT_REPEATED = ("AuthenticationError", "BadRequest", "BadSymbol", "InvalidOrder", "InsufficientFunds", "NotSupported")
_DONE = ("closed", "canceled", "expired", "rejected")


class CcxtAccount:
    """Not to be shared between threads.

    Args:
        name: exchange id as ccxt spells it.
        keys: None where only markets and time are asked for.
        clock: where its waits are called off, nothing is read any more.
        base_url: another server for tests, on this machine only.
        pause: shared with others who ask the same exchange.

    Raises:
        ConfigError: ccxt is missing, the exchange is unknown, a key is empty, or `base_url` is not local.
    """

    valid_ms = 5_000  # an order that reaches the exchange later than this after it was sent is refused there
    late_ms = 3_000

    def __init__(
        self,
        name: str,
        keys: Keys | None,
        clock: Clock,
        base_url: str | None = None,
        pause: ExchangePause | None = None,
    ) -> None:
        self._ccxt, self._clock = import_ccxt(), clock
        self._exchange = open_exchange(self._ccxt, name, True, base_url)
        if keys is not None:
            self._sign_with(keys)
        self._exchange.timeout = TIMEOUT_MS
        self._exchange.maxRetriesOnFailure = 0
        self._exchange.milliseconds = clock.now_ms  # signatures carry the time; one clock for all
        self._exchange.options["recvWindow"] = self.valid_ms
        self._exchange.options.setdefault("fetchOpenOrders", {})["warnWithoutSymbol"] = False
        self._exchange.options["fetchMargins"] = False
        self._quirks = quirks_of(name)
        self._exchange.has.update(self._quirks.has)
        self._pause = pause or ExchangePause(clock.now_ms)
        self._offset_ms = 0

    def _sign_with(self, keys: Keys) -> None:
        if not keys.api_key or not keys.api_secret:
            raise ConfigError("trading needs an API key and its secret; docs/live.md says where they are read from")
        for secret in keys:
            learn_secret(secret)
        self._exchange.apiKey, self._exchange.secret, self._exchange.password = keys

    @property
    def name(self) -> str:
        """The exchange's id."""
        return str(self._exchange.id)

    def wait(self, seconds: float) -> None:
        """Wait, by the clock all calls go by."""
        self._clock.sleep(seconds)

    def connect(self) -> None:
        """Load the markets and set the clock.

        Raises:
            TransientError: it cannot be reached.
        """
        self.sync_clock()
        self._read("its markets", lambda: self._exchange.load_markets(True))

    def sync_clock(self) -> int:
        """Ask the exchange for its time; return how many milliseconds it is ahead of ours."""
        ours = self._clock.now_ms()
        theirs = self._read("its time", self._exchange.fetch_time)
        if not isinstance(theirs, int | float) or theirs <= 0:
            raise TransientError(f"{self.name} says its time is {redact(theirs)}")
        self._offset_ms = int(theirs) - (ours + self._clock.now_ms()) // 2
        self._exchange.options["timeDifference"] = -self._offset_ms
        return self._offset_ms

    def now(self) -> int:
        """Ask the exchange for its time."""
        self.sync_clock()
        return self._clock.now_ms() + self._offset_ms

    def filters(self, symbol: str) -> MarketFilters:
        """Return what the market demands of orders, as of the last `connect`.

        Raises:
            ConfigError: there is no such market any more.
        """
        market = (self._exchange.markets or {}).get(symbol)
        if market is None:
            raise ConfigError(f"{self.name} has no market '{symbol}'")
        limits, precision = market["limits"], market["precision"]
        largest = _number(limits["amount"].get("max"))
        step, tick = self._grid(precision["amount"]), self._grid(precision["price"])
        return MarketFilters(
            instrument=Instrument(symbol, market["base"], market["quote"], ROUND_THE_CLOCK, step, tick),
            min_amount=_number(limits["amount"].get("min")),
            max_amount=largest if largest > 0 else None,
            min_notional=_number((limits.get("cost") or {}).get("min")),
            is_trading=market.get("active") is not False and bool(market.get("spot", True)),
            stops=self._quirks.stops(market),
        )

    def quote(self, symbol: str) -> Quote:
        """Return the best prices of a market now."""
        book = self._read("the order book", lambda: self._exchange.fetch_order_book(symbol, BOOK_LEVELS))
        try:
            bid, ask = (_number(book[side][0][0]) for side in ("bids", "asks"))
        except (KeyError, TypeError, IndexError, InvalidOperation) as error:
            raise TransientError(f"{self.name} sent an order book that cannot be read: {_short(error)}") from None
        if not 0 < bid < ask:
            raise TransientError(f"{self.name} says that bids are at {bid} and asks at {ask}")
        return Quote(bid, ask)

    def place(self, symbol: str, shape: OrderShape, client_id: str, sent_at: int) -> str:
        """Send one order in one request; return the exchange's id.

        It trades at its price or better; what does not trade at once lapses or rests, as its time in force says. With a
        stop price it rests until the market has fallen to it; only where `filters` say that the market takes those.

        Args:
            sent_at: the exchange's time as of now, from which `valid_ms` count.

        Raises:
            OrderRefused: nothing was placed; `WouldTake` if it is post-only and would have traded at once.
            OutcomeUnknown: it may stand; ask for it, never send again.
        """
        if self._pause.left_s:
            raise OrderRefused(f"{self.name} asked for a pause that is not over; nothing was sent")
        parameters = self._order_parameters(shape, client_id, sent_at)
        price = None if shape.price is None else float(shape.price)
        kind = "market" if price is None else "limit"
        self._exchange.last_response_headers = None
        try:
            with self._signing_at(sent_at):
                answer = self._exchange.create_order(symbol, kind, shape.side, float(shape.amount), price, parameters)
        except self._ccxt.BaseError as error:
            self._heed(error)
            if shape.time_in_force is TimeInForce.POST_ONLY and any(t in str(error).lower() for t in _WOULD_TAKE):
                raise WouldTake(f"{self.name} would have traded it at once; nothing was placed") from None
            if self._is_refusal(error):
                raise OrderRefused(f"{self.name} refused the order: {_short(error)}") from None
            raise OutcomeUnknown(f"{self.name} did not say what became of the order: {_short(error)}") from None
        except Exception as error:  # whatever ccxt stumbles over, the order may stand
            raise OutcomeUnknown(f"{self.name} answered what cannot be read: {_short(error)}") from None
        exchange_id = answer.get("id") if isinstance(answer, Mapping) else None
        if not exchange_id:
            raise OutcomeUnknown(f"{self.name} answered without naming the order")
        return escape(exchange_id)

    @contextmanager
    def _signing_at(self, time: int) -> Iterator[None]:
        # The time in a signature is the one that was judged and recorded, however long it took to get here.
        if self._quirks.is_timed:
            self._exchange.milliseconds = lambda: time - self._offset_ms
        try:
            yield
        finally:
            self._exchange.milliseconds = self._clock.now_ms

    def _order_parameters(self, shape: OrderShape, client_id: str, sent_at: int) -> dict[str, Any]:
        parameters: dict[str, Any] = {"clientOrderId": client_id, **self._quirks.order_parameters}
        if shape.price is not None:
            parameters["timeInForce"] = str(shape.time_in_force)
        if shape.stop_price is not None:
            parameters["stopLossPrice"] = float(shape.stop_price)
        if self._quirks.deadline_parameter is not None:
            parameters[self._quirks.deadline_parameter] = self._exchange.iso8601(sent_at + self.valid_ms)
        return parameters

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """Ask for an order by its client id; None if the exchange says that it has none.

        Raises:
            TransientError: the exchange does not answer, or not in a way that can be read.
            TradingHalted: it does not accept the key.
        """
        found = self._read("an order", lambda: self._find(symbol, client_id))
        return None if found is None else self._report(found, client_id)

    def client_id_of(self, symbol: str, exchange_id: str) -> str:
        """Return the client id of any order on the account; empty if it has none."""
        found = self._read("an order", lambda: self._exchange.fetch_order(exchange_id, symbol))
        return escape(found.get("clientOrderId") or "")

    def cancel(self, symbol: str, report: OrderReport) -> None:
        """Cancel what is left of an order; that it is gone already is as good."""
        try:
            self._read("a cancellation", lambda: self._exchange.cancel_order(report.exchange_id, symbol))
        except DataError:
            logger.info("%s: order %s needed no cancelling", symbol, report.client_id)

    def open_client_ids(self, symbol: str) -> list[str]:
        """Return the client ids of the open orders of a market; empty for those without one."""
        orders = self._read("open orders", lambda: self._exchange.fetch_open_orders(symbol))
        return [escape(order.get("clientOrderId") or "") for order in orders]

    def trades(self, symbol: str, since: int) -> list[Trade]:
        """Return all of the account's trades in a market at or after a time, in order of time."""
        known: dict[str, Trade] = {}  # by id, since some are reported twice
        page = TradesPage(since)
        while True:
            found = self._page_of_trades(symbol, page)
            new = {trade.trade_id: trade for trade in found if trade.trade_id not in known}
            known |= new
            if not new or len(found) < self._quirks.trades_page:
                break
            page = self._quirks.next_trades(since, list(known.values()))
        return sorted((t for t in known.values() if t.time >= since), key=lambda trade: (trade.time, trade.trade_id))

    def _page_of_trades(self, symbol: str, page: TradesPage) -> list[Trade]:
        limit, parameters = self._quirks.trades_limit, dict(page.parameters)
        found = self._read("trades", lambda: self._exchange.fetch_my_trades(symbol, page.since, limit, parameters))
        try:
            return [_trade(each) for each in found]
        except (KeyError, TypeError, InvalidOperation) as error:
            raise TransientError(f"{self.name} sent trades that cannot be read: {_short(error)}") from None

    def balance(self, coin: str) -> Balance:
        """Return what the account owns of a coin."""
        answer = self._read("the balance", self._exchange.fetch_balance)
        try:
            return Balance(_number(answer["free"].get(coin)), _number(answer["total"].get(coin)))
        except (KeyError, AttributeError) as error:
            raise TransientError(f"{self.name} sent a balance that cannot be read: {_short(error)}") from None

    def _find(self, symbol: str, client_id: str) -> Any:
        if self._quirks.client_id_parameter is None:
            return self._find_in_lists(symbol, client_id)
        try:
            return self._exchange.fetch_order(None, symbol, {self._quirks.client_id_parameter: client_id})
        except self._ccxt.OrderNotFound:
            return None

    def _find_in_lists(self, symbol: str, client_id: str) -> Any:
        for fetch in (self._exchange.fetch_open_orders, self._exchange.fetch_closed_orders):
            orders = fetch(symbol, None, None, {"clientOrderId": client_id})
            self._require_content()
            for order in orders:
                if order.get("clientOrderId") == client_id:
                    return order
        return None

    def _report(self, order: Any, client_id: str) -> OrderReport:
        status = order.get("status") if isinstance(order, Mapping) else None
        if not status or not order.get("id") or order.get("clientOrderId") not in (client_id, None):
            raise TransientError(f"{self.name} sent an order that cannot be read")
        return OrderReport(escape(order["id"]), client_id, status in _DONE, _number(order.get("filled")))

    def _read(self, what: str, call: Callable[[], Answer]) -> Answer:
        patiently = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(READ_TRIES) | stop_after_delay(2 * TIMEOUT_MS / 1000),
            wait=wait_exponential(max=MAX_READ_WAIT_S),
            sleep=self._clock.sleep,
            reraise=True,
        )
        answer: Answer = patiently(self._read_once, what, call)
        return answer

    def _read_once(self, what: str, call: Callable[[], Answer]) -> Answer:
        if (left_s := self._pause.left_s) > 0:
            raise TransientError(f"{self.name} asked for a pause that lasts another {left_s:.0f} s")
        self._clock.sleep(0.0)
        self._exchange.last_response_headers = None
        self._exchange.last_json_response = None
        try:
            answer = call()
            self._require_content()
            return answer
        except self._ccxt.AuthenticationError as error:
            raise TradingHalted(
                f"{self.name} does not accept the key ({_short(error)}); check it and its rights"
            ) from None
        except self._ccxt.BaseError as error:
            self._heed(error)
            if isinstance(error, self._ccxt.InvalidNonce):  # our clock has jumped
                self.sync_clock()
            if any(isinstance(error, getattr(self._ccxt, kind)) for kind in _NOT_REPEATED):
                raise DataError(f"{self.name} refuses {what}: {_short(error)}") from None
            raise TransientError(f"{self.name} was asked for {what} in vain: {_short(error)}") from None
        except PARSER_ERRORS as error:
            raise TransientError(f"{self.name} sent for {what} what cannot be read: {_short(error)}") from None

    def _require_content(self) -> None:
        # ccxt reads garbage as nothing: no orders, no trades, no coins. Only a body that can mean that is believed.
        content = self._exchange.last_json_response
        if not (isinstance(content, list) or (isinstance(content, dict) and content)):
            raise TransientError(f"{self.name} sent what cannot be read")

    def _heed(self, error: Exception) -> None:
        # A pause the exchange asks for is kept by all calls, or a throttle becomes a ban.
        asked_s = self._pause.heed(str(error), self._exchange.last_response_headers)
        if not asked_s and isinstance(error, self._ccxt.DDoSProtection | self._ccxt.RateLimitExceeded):
            self._pause.begin(SHORTEST_PAUSE_S)

    def _is_refusal(self, error: Exception) -> bool:
        named = [kind for kind in _REFUSALS if isinstance(error, getattr(self._ccxt, kind))]
        doubtful = any(isinstance(error, getattr(self._ccxt, kind)) for kind in _NO_REFUSALS)
        return bool(named) and not doubtful and "duplicate" not in str(error).lower()

    def _grid(self, precision: Any) -> Decimal:
        value = _number(precision)
        if self._exchange.precisionMode != self._ccxt.TICK_SIZE:
            value = Decimal(1).scaleb(-int(value))
        if value <= 0:
            raise ConfigError(f"{self.name} does not say in which steps it trades; choose another exchange")
        return value


def _trade(answer: Mapping[str, Any]) -> Trade:
    amount, fee = _number(answer["amount"]), answer.get("fee") or {}
    if not answer["id"] or amount <= 0 or _number(answer["price"]) <= 0:
        raise KeyError("trade without id, amount or price")
    return Trade(
        trade_id=escape(answer["id"]),
        exchange_id=escape(answer["order"]),
        time=int(answer["timestamp"]),
        quantity=amount if answer["side"] == "buy" else -amount,
        price=_number(answer["price"]),
        fee=_number(fee.get("cost")),
        fee_coin=escape(fee.get("currency") or ""),
    )


def _number(value: Any) -> Decimal:
    """Return what ccxt parsed, exactly as it reads; 0 for nothing, and for what is not finite."""
    number = Decimal(str(value)) if value is not None else Decimal(0)
    return number if number.is_finite() else Decimal(0)


def _short(error: Exception) -> str:
    return redact(f"{type(error).__name__} {' '.join(str(error).split())}")[:240]
