"""`BrokerAccount`: an account at a broker, as a bot needs it. A new broker is one module that keeps these promises.

One request places an order, under an id of ours, and is never repeated: either it is proven that nothing was placed
(`OrderRefused`), or the order may stand (`OutcomeUnknown`) and is asked for by that id. Reading is safe to repeat, and
an implementation repeats it a few times before it raises `TransientError`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Protocol

from src.execution.order_filters import MarketFilters, OrderShape


class Keys(NamedTuple):
    """What signs requests."""

    api_key: str
    api_secret: str
    password: str = ""


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the broker knows it."""

    exchange_id: str
    client_id: str
    is_done: bool
    filled: Decimal


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution. The quantity is signed; the fee is positive, in `fee_coin`."""

    trade_id: str
    exchange_id: str
    time: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_coin: str


class Balance(NamedTuple):
    """What an account owns of one coin."""

    free: Decimal
    total: Decimal


class Quote(NamedTuple):
    """The best prices others offer."""

    bid: Decimal
    ask: Decimal


class BrokerAccount(Protocol):
    """One account that owns coins outright. Every method but `place` and `cancel` only reads.

    All but `name`, the times and `wait` raise `TransientError` where the broker does not answer in a way that can be
    read, and `TradingHalted` where it does not accept the key.
    """

    @property
    def name(self) -> str:
        """What people call the broker."""
        ...

    @property
    def valid_ms(self) -> int:
        """How long after it was sent an order may still be accepted."""
        ...

    @property
    def late_ms(self) -> int:
        """On top of that, how late the broker may be in knowing of it: then "no such order" is believed."""
        ...

    def connect(self) -> None:
        """Read anew what the markets demand of orders, and set the clock."""
        ...

    def sync_clock(self) -> int:
        """Return how many milliseconds the broker's clock is ahead of ours."""
        ...

    def now(self) -> int:
        """Ask the broker for its time, in UTC milliseconds."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait, by the clock the account goes by."""
        ...

    def filters(self, symbol: str) -> MarketFilters:
        """Return what a market demands of orders, as of the last `connect`.

        Raises:
            ConfigError: there is no such market any more.
        """
        ...

    def balance(self, coin: str) -> Balance:
        """Return what the account owns of a coin."""
        ...

    def quote(self, symbol: str) -> Quote:
        """Return the best prices of a market now."""
        ...

    def place(self, symbol: str, shape: OrderShape, client_id: str, sent_at: int) -> str:
        """Send one order in one request; return the broker's id.

        It trades at its price or better; what does not trade at once lapses or rests, as its time in force says. With a
        stop price it rests until the market has fallen to it; only where `filters` say that the market takes those.

        Args:
            sent_at: the broker's time as of now. The order is refused there if it arrives more than `valid_ms` later,
                whatever held it up.

        Raises:
            OrderRefused: nothing was placed; `WouldTake` if it is post-only and would have traded at once.
            OutcomeUnknown: it may stand; ask for it, never send again.
        """
        ...

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """Ask for an order by its client id; None if the broker says that it has none."""
        ...

    def cancel(self, symbol: str, report: OrderReport) -> None:
        """Cancel what is left of an order; that it is gone already is as good."""
        ...

    def trades(self, symbol: str, since: int) -> list[Trade]:
        """Return all of the account's trades in a market at or after a time, each once, in order of time."""
        ...

    def client_id_of(self, symbol: str, exchange_id: str) -> str:
        """Return the client id of any order on the account; empty if it has none.

        Raises:
            DataError: there is no such order.
        """
        ...

    def open_client_ids(self, symbol: str) -> list[str]:
        """Return the client ids of the open orders of a market; empty for those without one."""
        ...
