"""`Broker`: what fills orders. Besides the source of bars, all in which training, backtest, paper and live differ."""

from typing import Any, Protocol

from src.execution.orders import Fills, Orders
from src.execution.tape import Tape


class Broker(Protocol):
    """Says how orders decided at one close were filled by the next."""

    def fill(self, orders: Orders, price: Any, bar: Tape) -> Fills:
        """Return the fills of orders that go to the market when it stands at `price` during `bar`.

        Args:
            orders: one order per account, zero units for none.
            price: what the market asks before costs; the open of `bar`, or the extreme at which margin ran out.
            bar: the bar in which the orders fill.
        """
        ...
