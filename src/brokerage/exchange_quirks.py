"""`ExchangeQuirks`: what one exchange wants otherwise than the others, as far as ccxt does not even it out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    """

    has: Mapping[str, bool] = field(default_factory=dict)
    client_id_parameter: str | None = None
    order_parameters: Mapping[str, Any] = field(default_factory=dict)
    is_timed: bool = False
    deadline_parameter: str | None = None


QUIRKS = {
    # Its currencies come with the wallets, which a key for trading need not see.
    "binance": ExchangeQuirks(has={"fetchCurrencies": False}, client_id_parameter="origClientOrderId", is_timed=True),
    # fciq: fees in quote currency, as ccxt reports them.
    "kraken": ExchangeQuirks(order_parameters={"oflags": "fciq"}, deadline_parameter="deadline"),
}


def quirks_of(exchange: str) -> ExchangeQuirks:
    """Return what is known of an exchange; none for one that nobody has looked at closely."""
    return QUIRKS.get(exchange, ExchangeQuirks())
