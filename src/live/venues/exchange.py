"""`ExchangeVenue`: real coins on a spot account."""

from collections.abc import Callable
from decimal import Decimal

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.reported_fills import BookedFills
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import ConfigError, OrderRefused, TransientError
from src.execution.broker import Broker
from src.execution.ledger import Accounts
from src.execution.order_filters import MarketFilters, decimal_of, shape_order
from src.execution.orders import Orders
from src.journal.journal import Journal
from src.journal.schema import JournaledOrder
from src.live.venues.execution.immediate import Immediate
from src.live.venues.execution.order_desk import OrderDesk
from src.live.venues.execution.style import style_of
from src.live.venues.reconcile import Reconciliation, books_differ, reconcile
from src.live.venues.venue import OrderRequest, Settled, journaled, never

RELOAD_MS = 6 * 3_600_000  # filters change, and markets close


class ExchangeVenue:
    """Trades real coins on a spot account.

    Args:
        limits: bound limit prices, and what a position may be worth at them.
    """

    def __init__(
        self, account: BrokerAccount, journal: Journal, symbol: str, config: LiveConfig, limits: RiskLimits
    ) -> None:
        self._account, self._journal, self._symbol, self._config = account, journal, symbol, config
        self._limits, self._style = limits, style_of(config)
        self._loaded = 0
        instrument = self.filters().instrument
        self._books = BookedFills(instrument.base, instrument.quote)
        self.broker: Broker = self._books

    @property
    def account(self) -> BrokerAccount | None:
        """Where orders go."""
        return self._account

    def filters(self) -> MarketFilters:
        """Return what the market demands now.

        Raises:
            TransientError: two lists of markets, the second asked for now, do not hold it.
        """
        try:
            return self._account.filters(self._symbol)
        except ConfigError:  # a list of markets without it may be one that was cut short
            self._account.connect()
        try:
            return self._account.filters(self._symbol)
        except ConfigError as error:
            raise TransientError(f"{error}; it is asked for again") from error

    def reconcile(self, now_ms: int) -> Reconciliation:
        """Compare the journal with the account."""
        return reconcile(self._account, self._journal, self.filters().instrument, now_ms)

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """Ask the exchange.

        An order that was filled whole puts its target in force. One that was not leaves the exposure that is held, so
        that the next decision completes or undoes it; one that was not filled at all leaves the target of before.
        """
        wrong: list[str] = []
        if now_ms - self._loaded > RELOAD_MS:
            self._account.connect()
            wrong = books_differ(self._journal, self.filters().instrument)
            self._loaded = now_ms
        found = self.reconcile(now_ms)
        fills = self._journal.fills(self._symbol, unbooked=True)
        units = self._books.take(fills)
        known = Orders(units, self._target(accounts, pending, units, fills[-1].price if fills else Decimal(0)))
        return Settled(
            found.is_settled, known, [fill.trade_id for fill in fills], found.foreign, found.other_bot + wrong
        )

    def _target(self, accounts: Accounts, pending: Orders, units: float, price: Decimal) -> float:
        if units == 0:
            return float(accounts.target)
        if pending.units != 0 and self._is_whole(pending, units):
            return float(pending.target)
        held, step = accounts.units + units, float(self.filters().instrument.step)
        return float(held * float(price) / accounts.equity) if abs(held) >= step else 0.0

    def _is_whole(self, pending: Orders, units: float) -> bool:
        # Rounding to steps, fees in coins and the reserve for fees make every order a little smaller than wished.
        tolerance = float(self.filters().instrument.step) + abs(pending.units) * 2 * self._config.fee_reserve_frac
        tolerance += abs(pending.units) * self._limits.max_slippage_frac
        return bool(abs(units - pending.units) <= tolerance)

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Fit the request to the exchange's filters and to what is owned."""
        filters = self.filters()
        if not filters.is_trading:
            raise OrderRefused(f"{self._account.name} does not trade {self._symbol} now")
        affordable = sellable = None
        try:
            if request.units > 0:
                free = min(self._account.balance(filters.instrument.quote).free, Decimal(repr(float(accounts.cash))))
                affordable = free * (1 - Decimal(repr(self._config.fee_reserve_frac)))
                affordable = min(affordable, self._room(accounts, request.reference))
            else:
                held = Decimal(repr(float(accounts.units)))
                sellable = min(self._account.balance(filters.instrument.base).free, held)
        except TransientError as error:
            raise OrderRefused(f"the balance is unknown ({error}); nothing was sent") from error
        slippage = self._limits.max_slippage_frac
        shape = shape_order(filters, request.units, request.reference, slippage, affordable, sellable)
        return journaled(self._config.account, request, shape.quantity, shape.price, "intent", None)

    def _room(self, accounts: Accounts, reference: float) -> Decimal:
        # What may still be bought if the limit price is paid, and is the price of what is held, too.
        worst = decimal_of(reference) * (1 + decimal_of(self._limits.max_slippage_frac))
        return Decimal(repr(float(self._limits.max_position))) - decimal_of(float(accounts.units)) * worst

    def send(
        self,
        order: JournaledOrder,
        exchange_now: Callable[[], int],
        latest: int,
        may_rest: Callable[[float], bool] = never,
    ) -> str:
        """Trade it in the style of the settings, at once where no order may rest; return what became of it.

        Raises:
            TradingHalted: another bot trades on this account.
        """
        desk = OrderDesk(self._account, self._journal, self.filters, order, exchange_now, latest, may_rest)
        style = self._style if order.price is not None and may_rest(0.0) else Immediate()
        style.trade(desk)
        if desk.was_refused:
            self._loaded = 0  # perhaps because the filters are others now
        return desk.outcome
