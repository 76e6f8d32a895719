"""`ProtectiveStop`: one order at the exchange that sells what is held if the price falls far, whoever is watching.

It rests while a position is held, so that a bot that is down or HALTED is not without protection. Its coins are locked:
before a candle's order sells any, it is taken back, and nothing is sold before it is known what became of it. Like any
order it is in the journal before it is sent, so that a kill leaves nothing that the next start cannot settle.

Covered: never two stops, never more than the bot's orders hold, no request in a candle in which nothing changed. Not
covered: what is held between taking one stop back and placing the next: a few requests, and as long as a sale
rests in the book.
"""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal

from src.brokerage.broker_account import BrokerAccount, OrderReport
from src.brokerage.reported_fills import BookedFills
from src.errors import OrderRefused, OutcomeUnknown, TransientError
from src.execution import scalar
from src.execution.ledger import Accounts, book
from src.execution.order_filters import MarketFilters, OrderShape, StopOrders, shape_stop
from src.execution.orders import Orders
from src.execution.tape import Tape
from src.journal.journal import Journal
from src.journal.schema import JournaledFill, JournaledOrder, client_order_id
from src.live.venues.order_terms import OrderTerms, filters_now
from src.live.venues.reconcile import settle_order, traded_quantity
from src.risk.protective_stop import stop_prices

logger = logging.getLogger(__name__)

ASK_EVERY_S = 1.0
NO_BAR = Tape(*[0.0] * len(Tape._fields))  # fills that were reported depend on none
UNKNOWN = "what became of the protective stop is not known yet"


class ProtectiveStop:
    """The stop of one symbol.

    Args:
        terms: of the bot's orders.
        loss_frac: loss at which it sells, as a fraction of equity; None places none.
    """

    def __init__(
        self, account: BrokerAccount, journal: Journal, symbol: str, terms: OrderTerms, loss_frac: float | None
    ) -> None:
        self._account, self._journal, self._symbol = account, journal, symbol
        self._terms, self._loss_frac = terms, loss_frac
        self._protected: tuple[object, ...] = ()  # what was held when all was last as it should be

    def protect(self, accounts: Accounts, pending: Orders, close_time: int, exchange_now: Callable[[], int]) -> str:
        """See to it that the stop rests that is wanted; return why it does not, or nothing.

        Nothing is asked where nothing has changed. An order whose outcome is unknown is waited for, since what is held
        is unknown with it.

        Args:
            accounts, pending: of the session, after the bar that closed at `close_time`; a stop that was refused is
                tried again at the next one.

        Raises:
            TransientError, TradingHalted: what became of a stop cannot be found out.
        """
        if self._journal.unresolved(self._symbol):
            return ""
        held = self._with_waiting(accounts, pending, self._journal.fills(self._symbol, unbooked=True))
        found = (held.units, held.target, held.entry_value)
        if self._protected == (*found, self._resting()):
            return ""
        is_wanted = self._loss_frac is not None and held.units > 0
        trigger = stop_prices(scalar, held, self._loss_frac or 0.0) if is_wanted else None
        lacking = self._keep(trigger, float(accounts.last_close), close_time, exchange_now)
        self._protected = () if lacking else (*found, self._resting())
        return lacking

    def _resting(self) -> tuple[str, ...]:
        return tuple(stop.client_id for stop in self._journal.stops(self._symbol))

    def _with_waiting(self, accounts: Accounts, pending: Orders, fills: Sequence[JournaledFill]) -> Accounts:
        # The account as it will be once the next bar has taken these fills in.
        if not fills:
            return accounts
        filters = filters_now(self._account, self._symbol)
        books = BookedFills(filters.instrument.base, filters.instrument.quote)
        units = books.take(fills)
        target = self._terms.target_after(accounts, pending, units, fills[-1].price, filters)
        booked = books.fill(Orders(units, target), accounts.last_close, NO_BAR)
        return book(scalar, accounts, booked, target)

    def _keep(self, trigger: float | None, reference: float, close_time: int, exchange_now: Callable[[], int]) -> str:
        filters = filters_now(self._account, self._symbol)
        wanted, reason = self._wanted(filters, trigger)
        resting = self._journal.stops(self._symbol)
        right = next((stop for stop in resting if stop.shape == wanted), None)
        for stop in resting:
            if stop is not right and not self._ask(stop.client_id, exchange_now, cancels=True):
                return UNKNOWN
        if wanted is None or right is not None:
            return reason
        wanted, reason = self._wanted(filters, trigger)  # what was taken back may have sold something
        return reason if wanted is None else self._place(wanted, reference, close_time, exchange_now)

    def take_back(self, exchange_now: Callable[[], int]) -> Decimal | None:
        """Free the coins; return what the stop has sold that is not in the books yet, None where that is not known."""
        sold = Decimal(0)
        for stop in self._journal.stops(self._symbol):
            if not self._ask(stop.client_id, exchange_now, cancels=True):
                return None
            fills = self._journal.fills(self._symbol, stop.client_id, unbooked=True)
            sold -= sum(fill.quantity for fill in fills)
        return sold

    def _wanted(self, filters: MarketFilters, trigger: float | None) -> tuple[OrderShape | None, str]:
        held = traded_quantity(self._journal, filters.instrument)
        if trigger is None or held < filters.instrument.step:
            return None, ""
        if filters.stops is StopOrders.none:
            return None, f"{self._account.name} is not known to take stop orders; the position has no protective stop"
        try:
            return shape_stop(filters, held, trigger), ""
        except OrderRefused as error:
            return None, f"the position has no protective stop: {error}"

    def _place(self, shape: OrderShape, reference: float, close_time: int, exchange_now: Callable[[], int]) -> str:
        before = self._journal.stops(self._symbol, close_time)
        if refused := [stop.outcome for stop in before if stop.outcome and stop.outcome.startswith("refused")]:
            return _refused(refused[-1])
        now_ms = exchange_now()
        stop = JournaledOrder(
            client_id=client_order_id(self._terms.config.account, f"{self._symbol} stop {len(before)}", close_time),
            symbol=self._symbol,
            close_time=close_time,
            decided_at=now_ms,
            side=shape.side,
            amount=shape.amount,
            price=shape.price,
            reference=reference,
            stop_price=shape.stop_price,
            time_in_force=shape.time_in_force,
        )
        self._journal.add_order(stop)
        self._journal.mark_sending(stop.client_id, now_ms)
        try:
            self._account.place(self._symbol, shape, stop.client_id, now_ms)
        except OrderRefused as error:
            self._journal.resolve(stop.client_id, f"refused: {error}")
            return _refused(f"refused: {error}")
        except OutcomeUnknown as error:
            logger.warning("%s: %s; it is asked for by its id", self._symbol, error)
        if not self._ask(stop.client_id, exchange_now, cancels=False):
            return UNKNOWN
        has_arrived = self._journal.order(stop.client_id).exchange_id is not None
        return "" if has_arrived else "the protective stop did not arrive; it is sent again"

    def _ask(self, client_id: str, exchange_now: Callable[[], int], cancels: bool) -> bool:
        # Asks until it is known that the stop rests, or has come to an end; to bring that about, it is cancelled.
        deadline = exchange_now() + self._account.valid_ms + 2 * self._account.late_ms
        while True:
            stop = self._journal.order(client_id)
            try:
                if cancels:
                    report = OrderReport(stop.exchange_id or "", client_id, is_done=False, filled=Decimal(0))
                    self._account.cancel(self._symbol, report)
                settle_order(self._account, self._journal, stop, exchange_now())
            except TransientError as error:
                logger.warning("%s: %s", self._symbol, error)
            if self._journal.order(client_id).state in (("resolved",) if cancels else ("resolved", "resting")):
                return True
            if exchange_now() >= deadline:
                return False
            self._account.wait(ASK_EVERY_S)


def _refused(outcome: str) -> str:
    return f"the position has no protective stop: {outcome}; it is tried again at the next candle"


def stop_sentences(journal: Journal, symbol: str, fills: Sequence[JournaledFill]) -> list[str]:
    """Say what protective stops sold among some fills."""
    stops = journal.stops_among(symbol, {fill.client_id for fill in fills})
    said = []
    for stop in stops:
        own = [fill for fill in fills if fill.client_id == stop.client_id]
        sold = sum((-fill.quantity for fill in own), Decimal(0))
        price = sum((-fill.quantity * fill.price for fill in own), Decimal(0)) / sold
        said.append(
            f"protective stop: it sold {sold:f} at {float(price):.8g} once the price was {stop.stop_price} or lower"
        )
    return said
