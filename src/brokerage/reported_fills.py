"""`BookedFills`: the broker of an account at an exchange. It fills what the exchange reported, nothing else.

Fees taken in base currency make what is held smaller, as they do at the exchange; they are booked as a commission at
the trade's price. Fees in a third coin touch neither side of the market and are in the journal only.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from src.errors import TradingHalted
from src.execution.orders import Fills, Orders
from src.execution.tape import Tape
from src.journal.schema import JournaledFill

NOTHING = Fills(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def net_quantity(fill: JournaledFill, base: str) -> Decimal:
    """Return what a trade changed the quantity held by: fees in base currency are taken off."""
    return fill.quantity - (fill.fee if fill.fee_coin == base else 0)


class BookedFills:
    """A `Broker` for one account of floats.

    Args:
        base, quote: the coins of the market.
    """

    def __init__(self, base: str, quote: str) -> None:
        self._base, self._quote = base, quote
        self._waiting: Sequence[JournaledFill] | None = None

    def take(self, fills: Sequence[JournaledFill]) -> float:
        """Hand over the trades of the next bar; return the units they add up to."""
        self._waiting = fills
        return sum(float(net_quantity(fill, self._base)) for fill in fills)

    def fill(self, orders: Orders, price: Any, bar: Tape) -> Fills:
        """Return the trades handed over. What they cost beyond `price`, the bar's open, counts as slippage.

        Raises:
            TradingHalted: the books ask for a trade of their own, a margin call, which an exchange cannot be told of.
        """
        if self._waiting is None:
            raise TradingHalted(
                "the books call for a margin close-out on a spot account; compare them with the exchange"
            )
        fills, self._waiting = self._waiting, None
        units = sum(float(net_quantity(fill, self._base)) for fill in fills)
        if not fills:
            return NOTHING
        paid = sum(float(net_quantity(fill, self._base) * fill.price) for fill in fills)
        commission = sum(self._commission(fill) for fill in fills)
        average = paid / units if _are_one_way(fills) and units else _mean_price(fills)
        return Fills(units, average, paid, commission, 0.0, paid - units * price)

    def _commission(self, fill: JournaledFill) -> float:
        if fill.fee_coin == self._base:
            return float(fill.fee * fill.price)
        return float(fill.fee) if fill.fee_coin == self._quote else 0.0


def _are_one_way(fills: Sequence[JournaledFill]) -> bool:
    return len({fill.quantity > 0 for fill in fills}) == 1


def _mean_price(fills: Sequence[JournaledFill]) -> float:
    # Of a bar in which a protective stop sold what had just been bought.
    amount = sum(abs(fill.quantity) for fill in fills)
    return float(sum((abs(fill.quantity) * fill.price for fill in fills), Decimal(0)) / amount)
