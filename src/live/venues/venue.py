"""`Venue`: takes orders and says what became of them. Besides candles, all in which paper and an exchange differ."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from src.brokerage.broker_account import BrokerAccount
from src.execution.broker import Broker
from src.execution.ledger import Accounts
from src.execution.orders import Orders
from src.journal.schema import JournaledOrder, client_order_id


class Alarms(NamedTuple):
    """What a look at the account found that a person should see."""

    alerts: Sequence[str] = ()  # foreign trades and coins: stop opening
    halts: Sequence[str] = ()  # another bot, or books that are wrong: stop


class OrderKind(StrEnum):
    """Of which kind the orders of a journal are."""

    REAL = "real orders"
    PAPER = "paper"  # filled as in a backtest
    PAPER_EXCHANGE = "paper as at an exchange"


class Settled(NamedTuple):
    """What the order of the bar before came to, and what else arrived."""

    is_known: bool
    pending: Orders  # what the next bar books, and the target in force after it
    booked: list[str]  # trade ids
    alarms: Alarms = Alarms()
    interventions: Sequence[str] = ()  # what a protective stop sold of what the next bar books


class OrderRequest(NamedTuple):
    """What the session wants to trade at a close."""

    symbol: str
    close_time: int
    now_ms: int
    units: float  # signed
    reference: float


class Venue(Protocol):
    """Takes orders and says what became of them."""

    broker: Broker

    @property
    def account(self) -> BrokerAccount | None:
        """Where orders go; None where they are filled in the books alone."""
        ...

    def look(self, now_ms: int) -> Alarms:
        """Look at the account shortly before a candle is due, so that less has to be asked once it has closed."""
        ...

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """Return what the next bar books, given the order that was decided at the close before."""
        ...

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Return the order to journal; raises `OrderRefused` where nothing may or can be sent."""
        ...

    def send(
        self, order: JournaledOrder, exchange_now: Callable[[], int], latest: int, may_rest: Callable[[float], bool]
    ) -> str:
        """Trade an order that has been journaled; return what is known of it then.

        Args:
            latest: time at which it may leave at the latest; later, nothing is sent.
            may_rest: waits for some seconds; False if no order may rest in the book any more.
        """
        ...

    def protect(self, accounts: Accounts, pending: Orders, close_time: int, exchange_now: Callable[[], int]) -> str:
        """See to it that what is held has its protective stop, after a bar's order; return why it has none, or nothing.

        Args:
            accounts, pending: of the session, after the bar that closed at `close_time`.
        """
        ...


def never(_seconds: float) -> bool:
    """Let no order rest."""
    return False


def journaled(
    account: str, request: OrderRequest, quantity: Decimal, price: Decimal | None, state: str, outcome: str | None
) -> JournaledOrder:
    """Return a request as the order that the journal keeps, under the id it will have at the exchange."""
    return JournaledOrder(
        client_id=client_order_id(account, request.symbol, request.close_time),
        symbol=request.symbol,
        close_time=request.close_time,
        decided_at=request.now_ms,
        side="buy" if request.units > 0 else "sell",
        amount=abs(quantity),
        price=price,
        reference=request.reference,
        state=state,
        outcome=outcome,
    )
