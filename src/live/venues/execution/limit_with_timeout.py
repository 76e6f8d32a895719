"""`LimitWithTimeout`: an order that rests at the best price of its side for a time; what is left is traded at once."""

from src.errors import TransientError
from src.execution.time_in_force import TimeInForce
from src.live.venues.execution.immediate import Immediate
from src.live.venues.execution.order_desk import OrderDesk

RESERVED_MS = 5_000  # of the decision window, to cancel and to send what is left


class LimitWithTimeout:
    """An `ExecutionStyle` that saves the spread where somebody comes to trade, and pays it where nobody does.

    Args:
        rest_s: how long the order may rest; less where the decision window is over before.
    """

    def __init__(self, rest_s: float) -> None:
        self._rest_ms, self._at_once = int(rest_s * 1000), Immediate()

    def trade(self, desk: OrderDesk) -> None:
        """Let what is left rest, cancel it, and send what is then left."""
        until = min(desk.now() + self._rest_ms, desk.latest - RESERVED_MS)
        if until > desk.now():
            try:
                price = desk.passive_price()
            except TransientError as error:
                desk.remark(f"prices are unknown, so it is traded at once ({error})")
            else:
                if desk.send(price, TimeInForce.GTC):
                    desk.rest(until)
                    desk.settle(gives_up=True)
        if desk.may_send:
            self._at_once.trade(desk)
