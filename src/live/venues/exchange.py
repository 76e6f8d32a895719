"""`ExchangeVenue`: real coins on a spot account."""

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.reported_fills import BookedFills
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import OrderRefused, TransientError
from src.execution.broker import Broker
from src.execution.ledger import Accounts
from src.execution.order_filters import MarketFilters
from src.execution.orders import Orders
from src.journal.journal import Journal
from src.journal.schema import JournaledOrder
from src.live.venues.execution.immediate import Immediate
from src.live.venues.execution.order_desk import OrderDesk
from src.live.venues.execution.style import style_of
from src.live.venues.order_terms import OrderTerms, filters_now, require_trading
from src.live.venues.protective_stop import UNKNOWN, ProtectiveStop, stop_sentences
from src.live.venues.reconcile import Reconciliation, books_differ, reconcile
from src.live.venues.venue import Alarms, OrderRequest, Settled, journaled, never

logger = logging.getLogger(__name__)

RELOAD_MS = 6 * 3_600_000  # filters change, and markets close
LOOK_LASTS_MS = 15_000  # of a look before a candle is due: for so long it serves that candle


class _Seen(NamedTuple):
    # What one look at the account saw; the coins that are free only if they were asked for, with the stops that rested.
    at: int
    is_settled: bool
    alarms: Alarms
    free: Mapping[str, Decimal]
    stops: frozenset[str] = frozenset()


class ExchangeVenue:
    """Trades real coins on a spot account.

    Args:
        limits: bound limit prices, and what a position may be worth at them.
        stop_loss_frac: loss at which the protective stop sells, as a fraction of equity; None places none.
    """

    def __init__(
        self,
        account: BrokerAccount,
        journal: Journal,
        symbol: str,
        config: LiveConfig,
        limits: RiskLimits,
        stop_loss_frac: float | None = None,
    ) -> None:
        self._account, self._journal, self._symbol, self._config = account, journal, symbol, config
        self._terms, self._style = OrderTerms(config, limits), style_of(config)
        self.stop = ProtectiveStop(account, journal, symbol, self._terms, stop_loss_frac)
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
        """Return what the market demands now."""
        return filters_now(self._account, self._symbol)

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
                self._ahead = seen._replace(alarms=Alarms(), free=free, stops=self._stops())
        except TransientError as error:
            logger.warning("%s: %s; it is asked for again after the close", self._symbol, error)
        return alarms

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """Ask the exchange, unless a look has just done so."""
        seen, self._ahead = self._ahead, None
        if seen is None or not self._still_holds(seen, now_ms):
            seen = self._see(now_ms)
        self._free = seen.free
        fills = self._journal.fills(self._symbol, unbooked=True)
        units = self._books.take(fills)
        price = fills[-1].price if fills else Decimal(0)
        known = Orders(units, self._terms.target_after(accounts, pending, units, price, self.filters()))
        said = stop_sentences(self._journal, self._symbol, fills)
        return Settled(seen.is_settled, known, [fill.trade_id for fill in fills], seen.alarms, said)

    def _still_holds(self, seen: _Seen, now_ms: int) -> bool:
        # A stop that was placed or taken back since locks or frees coins.
        is_recent = now_ms - seen.at <= LOOK_LASTS_MS
        return is_recent and not self._journal.unresolved(self._symbol) and seen.stops == self._stops()

    def _stops(self) -> frozenset[str]:
        return frozenset(stop.client_id for stop in self._journal.stops(self._symbol))

    def _see(self, now_ms: int) -> _Seen:
        wrong: list[str] = []
        if now_ms - self._loaded > RELOAD_MS:
            self._account.connect()
            wrong = books_differ(self._journal, self.filters().instrument)
            self._loaded = now_ms
        found = self.reconcile(now_ms)
        return _Seen(now_ms, found.is_settled, Alarms(found.foreign, found.other_bot + wrong), {})

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Fit the request to the exchange's filters and to what is owned."""
        filters = self.filters()
        require_trading(self._account, filters)
        spendable = sellable = None
        try:
            if request.units > 0:
                free = self._free_of(filters.instrument.quote)
                spendable = self._terms.spendable(free, accounts, request.reference)
            else:
                held = Decimal(repr(float(accounts.units)))
                stopped = sum(stop.amount for stop in self._journal.stops(self._symbol))  # it gives way to the sale
                sellable = min(self._free_of(filters.instrument.base) + stopped, held)
        except TransientError as error:
            raise OrderRefused(f"the balance is unknown ({error}); nothing was sent") from error
        shape = self._terms.shape(filters, request, spendable, sellable)
        return journaled(self._config.account, request, shape.quantity, shape.price, "intent", None)

    def _free_of(self, coin: str) -> Decimal:
        return self._free[coin] if coin in self._free else self._account.balance(coin).free

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
        if order.side == "sell" and (sold := self.stop.take_back(exchange_now)) != 0:
            outcome = f"never sent: {UNKNOWN if sold is None else f'the protective stop has sold {sold:f} by now'}"
            self._journal.resolve(order.client_id, outcome)
            return outcome
        desk = OrderDesk(self._account, self._journal, self.filters, order, exchange_now, latest, may_rest)
        style = self._style if order.price is not None and may_rest(0.0) else Immediate()
        try:
            style.trade(desk)
        except Exception:
            desk.take_back()
            raise
        if desk.was_refused:
            self._loaded = 0  # perhaps because the filters are others now
        return desk.outcome

    def protect(self, accounts: Accounts, pending: Orders, close_time: int, exchange_now: Callable[[], int]) -> str:
        """Place, move or take back the protective stop where what is held has changed."""
        return self.stop.protect(accounts, pending, close_time, exchange_now)
