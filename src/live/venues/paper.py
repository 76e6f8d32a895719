"""`PaperVenue`: orders that are filled in the books alone.

The ledger's own broker fills the whole order at the open of the next candle, with the costs of the backtest, so a paper
account lives what a backtest of the same bars would have. It is a margin account where its champion needs one: it
may be short, borrow, pay interest and be called.
"""

from collections.abc import Callable

from src.brokerage.broker_account import BrokerAccount
from src.errors import OrderRefused
from src.execution import scalar
from src.execution.broker import Broker
from src.execution.ledger import Accounts
from src.execution.order_filters import decimal_of
from src.execution.orders import Orders
from src.execution.simulated import SimulatedBroker
from src.journal.schema import JournaledOrder
from src.live.venues.venue import Alarms, OrderRequest, Settled, journaled
from src.market.instrument import base_and_quote
from src.trading.rules import TradingRules

ROUNDING = 1e-9  # sizing multiplies and divides


class PaperVenue:
    """Fills orders in the books alone.

    Args:
        rules: of the champion; its costs are paid, and its exposures bound what may be ordered.
        account: name that order ids are made of.
    """

    def __init__(self, rules: TradingRules, account: str) -> None:
        self.broker: Broker = SimulatedBroker(rules.costs, scalar)
        self.account: BrokerAccount | None = None
        self._bounds, self._account = rules.action.bounds, account

    def look(self, now_ms: int) -> Alarms:
        """Nobody else has this account."""
        return Alarms()

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """The pending order fills whole."""
        return Settled(True, pending, [])

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Any size will do that leads to an exposure the champion may have; closing always does."""
        require_exposure(request, accounts, self._bounds)
        return journaled(self._account, request, decimal_of(request.units), None, "resolved", "paper")

    def send(
        self, order: JournaledOrder, exchange_now: Callable[[], int], latest: int, may_rest: Callable[[float], bool]
    ) -> str:
        """Nothing is sent."""
        return "paper"

    def protect(self, accounts: Accounts, pending: Orders, close_time: int, exchange_now: Callable[[], int]) -> str:
        """Nothing is at stake."""
        return ""


def require_exposure(request: OrderRequest, accounts: Accounts, bounds: tuple[float, float]) -> None:
    """Refuse what would lead to an exposure outside of the champion's bounds; closing never does.

    Raises:
        OrderRefused: with the value the position would have; or the request is no number.
    """
    quantity, (low, high) = decimal_of(request.units), bounds
    after, equity = (accounts.units + request.units) * request.reference, max(accounts.equity, 0.0)
    rounding = ROUNDING * (equity + abs(accounts.units) * request.reference)
    if not low * equity - rounding <= after <= high * equity + rounding:
        raise OrderRefused(
            f"with {quantity} {base_and_quote(request.symbol)[0]} the position would be worth {after:.2f}, and the "
            f"champion's exposures are {low:g} to {high:g} of {equity:.2f}; nothing was ordered"
        )
