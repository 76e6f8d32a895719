"""`Immediate`: one order at the worst price that was decided on, which lapses where it does not trade at once."""

from src.execution.time_in_force import TimeInForce
from src.live.venues.execution.order_desk import OrderDesk


class Immediate:
    """An `ExecutionStyle` that takes what the book offers, up to the decided price."""

    def trade(self, desk: OrderDesk) -> None:
        """Send what is left."""
        if desk.send(desk.decided.price, TimeInForce.IOC):
            desk.settle()
