"""What an order at an exchange may be, and which target it puts in force; on paper and in earnest alike."""

from dataclasses import dataclass
from decimal import Decimal

from src.brokerage.broker_account import BrokerAccount
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import ConfigError, OrderRefused, TransientError
from src.execution.ledger import Accounts
from src.execution.order_filters import MarketFilters, OrderShape, decimal_of, shape_order
from src.execution.orders import Orders
from src.live.venues.venue import OrderRequest


def filters_now(account: BrokerAccount, symbol: str) -> MarketFilters:
    """Return what a market demands now.

    Raises:
        TransientError: two lists of markets, the second asked for now, do not hold it.
    """
    try:
        return account.filters(symbol)
    except ConfigError:  # a list of markets without it may be one that was cut short
        account.connect()
    try:
        return account.filters(symbol)
    except ConfigError as error:
        raise TransientError(f"{error}; it is asked for again") from error


def require_trading(account: BrokerAccount, filters: MarketFilters) -> None:
    """Raise `OrderRefused` where a market does not trade now."""
    if not filters.is_trading:
        raise OrderRefused(f"{account.name} does not trade {filters.instrument.symbol} now")


@dataclass(frozen=True)
class OrderTerms:
    """The terms of one bot: its settings and limits."""

    config: LiveConfig
    limits: RiskLimits

    def shape(
        self,
        filters: MarketFilters,
        request: OrderRequest,
        spendable: Decimal | None,
        sellable: Decimal | None,
    ) -> OrderShape:
        """Fit a request to what the market demands and to what is owned.

        Args:
            spendable, sellable: as in `shape_order`.

        Raises:
            OrderRefused: what is left is too little.
        """
        slippage = self.limits.max_slippage_frac
        return shape_order(filters, request.units, request.reference, slippage, spendable, sellable)

    def spendable(self, free: Decimal, accounts: Accounts, reference: float) -> Decimal:
        """Return how much of the free money a purchase may cost, fees aside."""
        own = min(free, Decimal(repr(float(accounts.cash)))) * (1 - Decimal(repr(self.config.fee_reserve_frac)))
        return min(own, self.room(accounts, reference))

    def room(self, accounts: Accounts, reference: float) -> Decimal:
        """Return for how much may still be bought if the limit price is paid, and is the price of what is held, too."""
        worst = decimal_of(reference) * (1 + decimal_of(self.limits.max_slippage_frac))
        return Decimal(repr(float(self.limits.max_position))) - decimal_of(float(accounts.units)) * worst

    def target_after(
        self, accounts: Accounts, pending: Orders, units: float, price: Decimal, filters: MarketFilters
    ) -> float:
        """Return the target in force once `units` were traded of what was pending, the last at `price`.

        An order that was filled whole puts its target in force. One that was not leaves the exposure that is held, so
        that the next decision completes or undoes it; one that was not filled at all leaves the target of before.
        """
        step = float(filters.instrument.step)
        if units == 0:
            return float(accounts.target)
        if pending.units != 0 and self._is_whole(pending, units, step):
            return float(pending.target)
        held = accounts.units + units
        return float(held * float(price) / accounts.equity) if abs(held) >= step else 0.0

    def _is_whole(self, pending: Orders, units: float, step: float) -> bool:
        # Rounding to steps, fees in coins and the reserve for fees make every order a little smaller than wished.
        tolerance = step + abs(pending.units) * 2 * self.config.fee_reserve_frac
        tolerance += abs(pending.units) * self.limits.max_slippage_frac
        return bool(abs(units - pending.units) <= tolerance)
