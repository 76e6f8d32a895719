"""`PostOnly`: orders that only ever rest, moved with the best price of their side; the rest waits for a decision."""

from src.errors import TransientError
from src.execution.time_in_force import TimeInForce
from src.live.venues.execution.order_desk import OrderDesk

RETRY_S = 1.0  # after the book moved into the price, or could not be read


class PostOnly:
    """An `ExecutionStyle` that never pays the spread, and may trade nothing.

    Args:
        rest_s: how long its orders may rest, together; less where the decision window is over before.
    """

    def __init__(self, rest_s: float) -> None:
        self._rest_ms = int(rest_s * 1000)

    def trade(self, desk: OrderDesk) -> None:
        """Let what is left rest at the best price, and follow that."""
        until = min(desk.now() + self._rest_ms, desk.latest)
        while desk.may_send and not desk.was_refused and desk.now() < until:
            try:
                price = desk.passive_price()
            except TransientError as error:
                desk.remark(f"prices are unknown ({error})")
                desk.wait(RETRY_S)
                continue
            if desk.send(price, TimeInForce.POST_ONLY):
                desk.rest(until, while_best=True)
                desk.settle(gives_up=True)
            else:
                desk.wait(RETRY_S)
