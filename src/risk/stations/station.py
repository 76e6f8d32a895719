"""What a station is: it looks at the target exposures an agent wants, and says which of them pass.

A station brings a target closer to flat, or keeps what is held; no target passes through it to a larger position than
was wanted. Flat always passes. It works on accounts of any shape, (N,) say, or on one account of floats, and its reason
is a constant sentence, so that reviewing many accounts builds no text.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from src.execution.ledger import Accounts
from src.risk.sizing import order_units

if TYPE_CHECKING:
    from src.risk.portfolio.view import PortfolioView


class ReviewContext(NamedTuple):
    """What stations may know at a close; arrays have the accounts' shape, or broadcast against it."""

    xp: ModuleType  # array namespace, `src.execution.scalar` for one account of floats
    accounts: Accounts  # marked at this close
    confidence: Any  # of the decision, in [0, 1]
    prior_close: Any  # of the bar before
    orders_last_hour: Any  # that were decided on at closes within the hour up to this one
    rebalance_band: float | None  # of the action space
    portfolio: "PortfolioView | None" = None  # of accounts that hold several symbols

    def order(self, target: Any) -> Any:
        """Return the signed units that a target leads to, 0 where it leads to no order."""
        return order_units(self.xp, self.accounts, target, self.rebalance_band)


class Review(NamedTuple):
    """What a station lets through."""

    target: Any
    reason: str  # why it changed what it changed
    hold: Any = False  # where the position is to stay as it is: no order, not even one that would restore a target


class Station(Protocol):
    """Changes decisions on their way to an order."""

    @property
    def name(self) -> str:
        """What records and reports call it."""
        ...

    def review(self, target: Any, context: ReviewContext) -> Review:
        """Return the targets that pass, in the shape of those that came in."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """A station that remembers earlier decisions."""

    def state_dict(self) -> dict[str, Any]:
        """Return what it needs to go on, as plain numbers or arrays."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        ...
