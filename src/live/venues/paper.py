"""`PaperVenue`: orders that are filled in the books alone.

The ledger's own broker fills the whole order at the open of the next candle, with the costs of the backtest, so a paper
account lives what a backtest of the same bars would have.
"""

from collections.abc import Callable

from src.brokerage.broker_account import BrokerAccount
from src.config.trading import CostsConfig
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


class PaperVenue:
    """Fills orders in the books alone."""

    def __init__(self, costs: CostsConfig, account: str) -> None:
        self.broker: Broker = SimulatedBroker(costs, scalar)
        self.account: BrokerAccount | None = None
        self._account = account

    def look(self, now_ms: int) -> Alarms:
        """Nobody else has this account."""
        return Alarms()

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """The pending order fills whole."""
        return Settled(True, pending, [])

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Any size will do that a spot account can have."""
        quantity = decimal_of(request.units)
        if -request.units > accounts.units:
            raise OrderRefused(
                f"{-quantity} {base_and_quote(request.symbol)[0]} are to be sold, and {accounts.units} are owned"
            )
        return journaled(self._account, request, quantity, None, "resolved", "paper")

    def send(self, order: JournaledOrder, exchange_now: Callable[[], int], latest: int) -> str:
        """Nothing is sent."""
        return "paper"
