"""`ExecutionStyle`: how a decided amount is traded; and which style the settings name."""

from typing import Protocol

from src.config.live import Execution, LiveConfig
from src.live.venues.execution.immediate import Immediate
from src.live.venues.execution.limit_with_timeout import LimitWithTimeout
from src.live.venues.execution.order_desk import OrderDesk
from src.live.venues.execution.post_only import PostOnly


class ExecutionStyle(Protocol):
    """Trades what one decision asks for. It keeps nothing between decisions."""

    def trade(self, desk: OrderDesk) -> None:
        """Send orders through the desk of a decision until all is traded, or is to be left to the next one.

        When it returns no order rests any more, unless what became of it is still unknown.
        """
        ...


def style_of(config: LiveConfig) -> ExecutionStyle:
    """Return the style that the settings name."""
    styles: dict[Execution, ExecutionStyle] = {
        Execution.immediate: Immediate(),
        Execution.limit_then_immediate: LimitWithTimeout(config.rest_s),
        Execution.post_only: PostOnly(config.rest_s),
    }
    return styles[config.execution]
