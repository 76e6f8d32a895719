"""`MemoryBroker`: a `BrokerAccount` without ccxt, a server or a wire, which fills at one price and takes no fee."""

from collections.abc import Sequence
from decimal import Decimal

from src.brokerage.broker_account import Balance, OrderReport, Trade
from src.brokerage.clock import Clock
from src.errors import DataError, OrderRefused
from src.execution.order_filters import MarketFilters, OrderShape
from src.market.instrument import ROUND_THE_CLOCK, Instrument


class MemoryBroker:
    """Fills the next orders by `shares` of their amount, and refuses those whose share is None; then all whole."""

    name, valid_ms, late_ms = "memory", 1_000, 500

    def __init__(self, clock: Clock, symbol: str, price: Decimal, quote: Decimal, shares: Sequence[str | None]) -> None:
        self._clock, self._price, self._shares = clock, price, list(shares)
        self.instrument = Instrument(symbol, "BTC", "USDT", ROUND_THE_CLOCK, Decimal("0.01"), Decimal("0.01"))
        self.coins = {"BTC": Decimal(0), "USDT": quote}
        self.orders: dict[str, tuple[OrderShape, OrderReport]] = {}
        self.executed: list[Trade] = []

    def connect(self) -> None:
        pass

    def sync_clock(self) -> int:
        return 0

    def now(self) -> int:
        return self._clock.now_ms()

    def wait(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def filters(self, symbol: str) -> MarketFilters:
        return MarketFilters(self.instrument, Decimal("0.01"), None, Decimal(5), is_trading=True)

    def balance(self, coin: str) -> Balance:
        return Balance(self.coins[coin], self.coins[coin])

    def place(self, symbol: str, shape: OrderShape, client_id: str, sent_at: int) -> str:
        assert client_id not in self.orders, "an order is sent once"
        share = self._shares.pop(0) if self._shares else "1"
        if share is None:
            raise OrderRefused("memory wants no more of it")
        number = str(len(self.orders) + 1)
        filled, signed = shape.amount * Decimal(share), shape.quantity * Decimal(share)
        self.orders[client_id] = shape, OrderReport(number, client_id, True, filled)
        self.coins["BTC"] += signed
        self.coins["USDT"] -= signed * self._price
        trade = Trade(f"t{number}", number, self._clock.now_ms(), signed, self._price, Decimal(0), "USDT")
        self.executed += [trade] if filled else []
        return number

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        return self.orders[client_id][1] if client_id in self.orders else None

    def cancel(self, symbol: str, report: OrderReport) -> None:
        raise AssertionError("what is not filled at once has lapsed")

    def trades(self, symbol: str, since: int) -> list[Trade]:
        return [trade for trade in self.executed if trade.time >= since]

    def client_id_of(self, symbol: str, exchange_id: str) -> str:
        raise DataError(f"there is no order {exchange_id}")

    def open_client_ids(self, symbol: str) -> list[str]:
        return []
