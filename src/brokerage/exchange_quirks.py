"""`ExchangeQuirks`: what one exchange wants otherwise than the others, as far as ccxt does not even it out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from src.brokerage.broker_account import Trade
from src.execution.order_filters import StopOrders


class TradesPage(NamedTuple):
    """What a page of trades is asked for with."""

    since: int | None
    parameters: Mapping[str, Any] = {}


def _by_time(_since: int, known: Sequence[Trade]) -> TradesPage:
    return TradesPage(max(trade.time for trade in known))


def _by_id(_since: int, known: Sequence[Trade]) -> TradesPage:
    return TradesPage(None, {"fromId": max(int(trade.trade_id) for trade in known) + 1})


def _by_count(since: int, known: Sequence[Trade]) -> TradesPage:
    return TradesPage(since, {"ofs": len(known)})


def _stops_by_order_types(market: Mapping[str, Any]) -> StopOrders:
    kinds = market["info"].get("orderTypes") or ()
    if "STOP_LOSS" in kinds:
        return StopOrders.market
    return StopOrders.limit if "STOP_LOSS_LIMIT" in kinds else StopOrders.none


@dataclass(frozen=True)
class ExchangeQuirks:
    """One exchange.

    Attributes:
        has: features ccxt is told it has, or has not.
        client_id_parameter: under which a single order is asked for by its client id; without one, open and closed
            orders are listed.
        order_parameters: sent with every order.
        is_timed: requests carry the time they were signed at, and are refused later than a window after it.
        deadline_parameter: under which an order carries the time after which the exchange refuses it, where it knows
            no such window.
        trades_page: so many trades fill a page, after which there may be more; 1 where nobody knows.
        trades_limit: asked for, where the exchange lets us choose.
        next_trades: the page after some trades, of those since a time.
        stops: which stop orders a market takes; none where nobody has looked.
    """

    has: Mapping[str, bool] = field(default_factory=dict)
    client_id_parameter: str | None = None
    order_parameters: Mapping[str, Any] = field(default_factory=dict)
    is_timed: bool = False
    deadline_parameter: str | None = None
    trades_page: int = 1
    trades_limit: int | None = None
    next_trades: Callable[[int, Sequence[Trade]], TradesPage] = _by_time
    stops: Callable[[Mapping[str, Any]], StopOrders] = lambda market: StopOrders.none


QUIRKS = {
    # Its currencies come with the wallets, which a key for trading need not see.
    # The executions of one order may all have the same time, so that only ids tell where a page ends.
    "binance": ExchangeQuirks(
        has={"fetchCurrencies": False},
        client_id_parameter="origClientOrderId",
        is_timed=True,
        trades_page=1_000,
        trades_limit=1_000,
        next_trades=_by_id,
        stops=_stops_by_order_types,
    ),
    # fciq: fees in quote currency, as ccxt reports them.
    "kraken": ExchangeQuirks(
        order_parameters={"oflags": "fciq"},
        deadline_parameter="deadline",
        trades_page=50,
        next_trades=_by_count,
        stops=lambda market: StopOrders.market,
    ),
}


def quirks_of(exchange: str) -> ExchangeQuirks:
    """Return what is known of an exchange; none for one that nobody has looked at closely."""
    return QUIRKS.get(exchange, ExchangeQuirks())
