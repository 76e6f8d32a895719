"""Selling at market what a bot's orders traded: in parts where the market takes no order of that size.

Coins that lie in other people's open orders are left there, and said to be.
"""

from collections.abc import Callable
from decimal import Decimal

from src.brokerage.broker_account import Balance, BrokerAccount
from src.errors import OrderRefused
from src.execution.order_filters import MarketFilters, OrderShape, shape_order
from src.journal.journal import Journal
from src.journal.schema import JournaledOrder, client_order_id
from src.live.venues.exchange import ExchangeVenue
from src.live.venues.protective_stop import UNKNOWN
from src.live.venues.reconcile import traded_quantity

LEAVES_WITHIN_MS = 60_000  # of the command; a person who waited longer, through a sleep of the machine, says it again


def sell_all(
    account: BrokerAccount,
    journal: Journal,
    venue: ExchangeVenue,
    account_name: str,
    filters: MarketFilters,
    exchange_now: Callable[[], int],
) -> tuple[list[str], bool]:
    """Sell until nothing can be sold any more or an order is not filled.

    Returns:
        What became of each order and what is left, and False if trying again may sell it.

    Raises:
        TransientError, TradingHalted: the account cannot be read; what was sent before is in the journal.
    """
    symbol, began = filters.instrument.symbol, exchange_now()
    last = journal.last_step(symbol)
    reference = float(last.state["books"]["accounts.last_close"]) if last is not None else 0.0
    if venue.stop.take_back(exchange_now) is None:
        return [f"nothing was sold: {UNKNOWN}; try again in a minute"], False
    said: list[str] = []
    while True:
        left, balance = traded_quantity(journal, filters.instrument), account.balance(filters.instrument.base)
        try:
            shape = shape_order(filters, -float(min(left, balance.free)), reference, None)
        except OrderRefused as error:
            return [*said, *_unsold(left, balance, filters, error, is_first=not said)], True
        order = _by_hand(account_name, symbol, shape, began + len(said), reference)
        journal.add_order(order)
        outcome = venue.send(order, exchange_now, began + LEAVES_WITHIN_MS)
        said.append(f"sell {order.amount} at market: {outcome}")
        if outcome != "filled":
            return said, False


def _by_hand(account_name: str, symbol: str, shape: OrderShape, time: int, reference: float) -> JournaledOrder:
    # Parts of one command have times of their own, and so ids of their own.
    return JournaledOrder(
        client_id=client_order_id(account_name, f"{symbol} by hand", time),
        symbol=symbol,
        close_time=time,
        decided_at=time,
        side=shape.side,
        amount=shape.amount,
        price=None,
        reference=reference,
    )


def _unsold(left: Decimal, balance: Balance, filters: MarketFilters, error: OrderRefused, is_first: bool) -> list[str]:
    # Why the last order was not made; nothing where all is sold.
    base, step = filters.instrument.base, filters.instrument.step
    if left < step:
        return [f"nothing to close ({error})"] if is_first else []
    locked = min(left, balance.total) - balance.free
    if locked >= step:
        return [f"{locked:f} {base} are locked in open orders that are not this bot's; cancel them and close again"]
    return [f"{left:f} {base} are left that cannot be sold ({error})"]
