"""`ExchangeVenue`: real coins on a spot account."""

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.reported_fills import BookedFills
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import ConfigError, OrderRefused, OutcomeUnknown, TradingHalted, TransientError
from src.execution.broker import Broker
from src.execution.ledger import Accounts
from src.execution.order_filters import MarketFilters, decimal_of, shape_order
from src.execution.orders import Orders
from src.journal.journal import Journal
from src.journal.schema import JournaledOrder
from src.live.venues.reconcile import Reconciliation, books_differ, reconcile, settle_order
from src.live.venues.venue import Alarms, OrderRequest, Settled, journaled

logger = logging.getLogger(__name__)

ASK_EVERY_S = 1.0
RELOAD_MS = 6 * 3_600_000  # filters change, and markets close
LOOK_LASTS_MS = 15_000  # of a look before a candle is due: for so long it serves that candle


class _Seen(NamedTuple):
    # What one look at the account saw; the coins that are free only if they were asked for.
    at: int
    is_settled: bool
    alarms: Alarms
    free: Mapping[str, Decimal]


class ExchangeVenue:
    """Trades real coins on a spot account.

    Args:
        limits: bound limit prices, and what a position may be worth at them.
    """

    def __init__(
        self, account: BrokerAccount, journal: Journal, symbol: str, config: LiveConfig, limits: RiskLimits
    ) -> None:
        self._account, self._journal, self._symbol, self._config = account, journal, symbol, config
        self._limits = limits
        self._loaded = 0
        self._ahead: _Seen | None = None  # of the candle that is due
        self._free: Mapping[str, Decimal] = {}
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

    def look(self, now_ms: int) -> Alarms:
        """Look at the account shortly before a candle is due; what was seen serves that candle, unless it takes long.

        What cannot be read now is asked for again once the candle has closed.
        """
        self._ahead, alarms = None, Alarms()
        try:
            seen = self._see(now_ms)
            alarms = seen.alarms
            if seen.is_settled:
                instrument = self.filters().instrument
                free = {coin: self._account.balance(coin).free for coin in (instrument.base, instrument.quote)}
                self._ahead = seen._replace(alarms=Alarms(), free=free)
        except TransientError as error:
            logger.warning("%s: %s; it is asked for again after the close", self._symbol, error)
        return alarms

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """Ask the exchange, unless a look has just done so.

        An order that was filled whole puts its target in force. One that was not leaves the exposure that is held, so
        that the next decision completes or undoes it; one that was not filled at all leaves the target of before.
        """
        seen, self._ahead = self._ahead, None
        if seen is None or now_ms - seen.at > LOOK_LASTS_MS or self._journal.unresolved(self._symbol):
            seen = self._see(now_ms)
        self._free = seen.free
        fills = self._journal.fills(self._symbol, unbooked=True)
        units = self._books.take(fills)
        known = Orders(units, self._target(accounts, pending, units, fills[-1].price if fills else Decimal(0)))
        return Settled(seen.is_settled, known, [fill.trade_id for fill in fills], seen.alarms)

    def _see(self, now_ms: int) -> _Seen:
        wrong: list[str] = []
        if now_ms - self._loaded > RELOAD_MS:
            self._account.connect()
            wrong = books_differ(self._journal, self.filters().instrument)
            self._loaded = now_ms
        found = self.reconcile(now_ms)
        return _Seen(now_ms, found.is_settled, Alarms(found.foreign, found.other_bot + wrong), {})

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
                free = min(self._free_of(filters.instrument.quote), Decimal(repr(float(accounts.cash))))
                affordable = free * (1 - Decimal(repr(self._config.fee_reserve_frac)))
                affordable = min(affordable, self._room(accounts, request.reference))
            else:
                held = Decimal(repr(float(accounts.units)))
                sellable = min(self._free_of(filters.instrument.base), held)
        except TransientError as error:
            raise OrderRefused(f"the balance is unknown ({error}); nothing was sent") from error
        slippage = self._limits.max_slippage_frac
        shape = shape_order(filters, request.units, request.reference, slippage, affordable, sellable)
        return journaled(self._config.account, request, shape.quantity, shape.price, "intent", None)

    def _free_of(self, coin: str) -> Decimal:
        return self._free[coin] if coin in self._free else self._account.balance(coin).free

    def _room(self, accounts: Accounts, reference: float) -> Decimal:
        # What may still be bought if the limit price is paid, and is the price of what is held, too.
        worst = decimal_of(reference) * (1 + decimal_of(self._limits.max_slippage_frac))
        return Decimal(repr(float(self._limits.max_position))) - decimal_of(float(accounts.units)) * worst

    def send(self, order: JournaledOrder, exchange_now: Callable[[], int], latest: int) -> str:
        """Send one request, then ask until the outcome is known or cannot be for now.

        A bar's order has one id, whichever bot of the account sends it: if the exchange knows it already, another did.

        Raises:
            TradingHalted: another bot trades on this account.
        """
        try:
            is_taken = self._account.find(order.symbol, order.client_id) is not None
        except TransientError as error:
            return self._unsent(order, f"whether another bot sent it is unknown ({error})")
        if is_taken:
            self._unsent(order, "another bot sent it")
            raise TradingHalted(f"order {order.client_id} exists, and this bot did not send it; stop the other one")
        now_ms = exchange_now()
        if now_ms > latest:
            return self._unsent(order, f"it would have left {(now_ms - latest) / 1000:.1f} s too late")
        self._journal.mark_sending(order.client_id, now_ms)
        try:
            self._account.place(order.symbol, order.shape, order.client_id, now_ms)
        except OrderRefused as error:
            self._journal.resolve(order.client_id, f"refused: {error}")
            self._loaded = 0  # perhaps because the filters are others now
            return f"refused: {error}"
        except OutcomeUnknown as error:
            logger.warning("%s: %s; it is asked for by its id", order.symbol, error)
        return self._ask(order, exchange_now)

    def _unsent(self, order: JournaledOrder, reason: str) -> str:
        outcome = f"never sent: {reason}"
        self._journal.resolve(order.client_id, outcome)
        return outcome

    def _ask(self, order: JournaledOrder, exchange_now: Callable[[], int]) -> str:
        deadline = exchange_now() + self._account.valid_ms + 2 * self._account.late_ms
        while exchange_now() < deadline:
            sent = self._journal.order_of(order.symbol, order.close_time)
            assert sent is not None, "an order is journaled before it is sent"
            try:
                if settle_order(self._account, self._journal, sent, exchange_now()):
                    break
            except TransientError as error:
                logger.warning("%s: %s", order.symbol, error)
            self._account.wait(ASK_EVERY_S)
        after = self._journal.order_of(order.symbol, order.close_time)
        return (after.outcome if after is not None else None) or "unknown"
