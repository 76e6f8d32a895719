"""`OrderDesk`: sends the orders of one decision, one after another, and finds out what became of each.

Each is in the journal before it is sent, under an id of its own that follows from the decision, and none is sent while
what became of the one before is unknown: together they never trade more than was decided, and whoever is killed in
between knows at the next start which order may still stand.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from src.brokerage.broker_account import BrokerAccount
from src.errors import OrderRefused, OutcomeUnknown, TraderError, TradingHalted, TransientError, WouldTake
from src.execution.order_filters import MarketFilters, OrderShape, is_large_enough
from src.execution.time_in_force import TimeInForce
from src.journal.journal import Journal
from src.journal.schema import JournaledOrder, part_order_id
from src.live.venues.reconcile import settle_order

logger = logging.getLogger(__name__)

ASK_EVERY_S = 1.0
LOOK_EVERY_S = 5.0  # at an order that rests; Kraken lets an account ask for little more


class OrderDesk:
    """Trades one decision.

    Args:
        filters: what the market demands.
        decided: the order that the decision asked for, in the journal; no order goes beyond its amount and its price.
        exchange_now: the exchange's time.
        latest: time at which an order may leave at the latest.
        may_rest: waits for some seconds; False if no order may rest any more.
    """

    def __init__(
        self,
        account: BrokerAccount,
        journal: Journal,
        filters: Callable[[], MarketFilters],
        decided: JournaledOrder,
        exchange_now: Callable[[], int],
        latest: int,
        may_rest: Callable[[float], bool],
    ) -> None:
        self.decided, self.latest, self.now = decided, latest, exchange_now
        self._account, self._journal, self._filters, self._may_rest = account, journal, filters, may_rest
        self._last: JournaledOrder | None = None
        self._traded = Decimal(0)
        self._remark, self._outcome = "", ""
        self._is_over = False
        self.was_refused = False  # for another reason than that it would have traded at once

    @property
    def left(self) -> Decimal:
        """What of the decided amount is not traded."""
        return self.decided.amount - self._traded

    @property
    def may_send(self) -> bool:
        """Whether another order may follow: all before it are accounted for, and enough is left."""
        price = self.decided.price or Decimal(repr(self.decided.reference))
        return not self._is_over and is_large_enough(self._filters(), self.left, price)

    @property
    def outcome(self) -> str:
        """What became of the decision; one that no order came of is never sent from now on."""
        if self._last is None:
            return self._never_sent(self._remark or "no order could rest")
        if self._last.part == 0 or not self._traded:
            return self._outcome
        if not self.left:
            return "filled"
        last = "" if self._outcome.endswith("filled") else f", then {self._outcome}"
        return f"{self._traded} of {self.decided.amount} filled{last}"

    def remark(self, text: str) -> None:
        """Say why no order is sent for now."""
        self._remark = text
        logger.warning("%s: %s", self.decided.symbol, text)

    def passive_price(self) -> Decimal:
        """Return the best price of the order's own side, at which it rests, within the decided one.

        Raises:
            TransientError: prices cannot be read.
        """
        quote, tick = self._account.quote(self.decided.symbol), self._filters().instrument.tick
        is_buy, worst = self.decided.side == "buy", self.decided.price
        best = quote.bid if is_buy else quote.ask
        if worst is not None:
            best = min(best, worst) if is_buy else max(best, worst)
        return (best / tick).to_integral_value(ROUND_FLOOR if is_buy else ROUND_CEILING) * tick

    def send(self, price: Decimal | None, time_in_force: TimeInForce) -> bool:
        """Send what is left in one order; return whether it may stand, so that it has to be settled.

        An order has one id, whichever bot of the account sends it: if the exchange knows it already, another did.

        Raises:
            TradingHalted: another bot trades on this account.
        """
        order = self._next(OrderShape(self.decided.side, self.left, price, time_in_force=time_in_force))
        if not self._may_leave(order):
            return False
        self._last = order
        try:
            self._account.place(order.symbol, order.shape, order.client_id, self._sent_at)
        except OrderRefused as error:
            self._outcome = f"refused: {error}"
            self._journal.resolve(order.client_id, self._outcome)
            self.was_refused = not isinstance(error, WouldTake)
            return False
        except OutcomeUnknown as error:
            logger.warning("%s: %s; it is asked for by its id", order.symbol, error)
        return True

    def _next(self, shape: OrderShape) -> JournaledOrder:
        part = 0 if self._last is None else self._last.part + 1
        return replace(
            self.decided,
            client_id=part_order_id(self.decided.client_id, part),
            amount=shape.amount,
            price=shape.price,
            time_in_force=shape.time_in_force,
            part=part,
        )

    def _may_leave(self, order: JournaledOrder) -> bool:
        # Commits that it leaves now, unless it must not.
        try:
            is_taken = self._account.find(order.symbol, order.client_id) is not None
        except TransientError as error:
            self._end(order, f"whether another bot sent it is unknown ({error})")
            return False
        if is_taken:
            self._end(order, "another bot sent it")
            raise TradingHalted(f"order {order.client_id} exists, and this bot did not send it; stop the other one")
        self._sent_at = self.now()
        if self._sent_at > self.latest:
            self._end(order, f"it would have left {(self._sent_at - self.latest) / 1000:.1f} s too late")
            return False
        if order.part == 0:
            self._journal.mark_sending(order.client_id, self._sent_at, order.shape)
        else:
            self._journal.add_order(replace(order, state="sending", sent_at=self._sent_at))
        return True

    def _end(self, order: JournaledOrder, reason: str) -> None:
        self._is_over = True
        if order.part == 0:
            self._last, self._outcome = order, self._never_sent(reason)
        else:
            self.remark(f"nothing more was sent: {reason}")

    def _never_sent(self, reason: str) -> str:
        outcome = f"never sent: {reason}"
        self._journal.resolve(self.decided.client_id, outcome)
        return outcome

    def rest(self, until: int, while_best: bool = False) -> None:
        """Let the last order rest until it is done, or until a time, or until orders may rest no more.

        Args:
            while_best: ends as well once another price is the best of its side.
        """
        assert self._last is not None, "an order is sent before it rests"
        while not self._is_over and (left_ms := until - self.now()) > 0:
            self.wait(min(LOOK_EVERY_S, left_ms / 1000))
            try:
                report = self._account.find(self._last.symbol, self._last.client_id)
                if (report is not None and report.is_done) or (while_best and self.passive_price() != self._last.price):
                    return
            except TransientError as error:
                logger.warning("%s: %s", self._last.symbol, error)

    def take_back(self) -> None:
        """Cancel the last order if it may rest. The journal, which may have failed, learns of it at the next look."""
        if self._last is None or not self._last.time_in_force.rests:
            return
        try:
            report = self._account.find(self._last.symbol, self._last.client_id)
            if report is not None and not report.is_done:
                self._account.cancel(self._last.symbol, report)
        except TraderError as error:
            logger.warning("%s: an order may rest that could not be cancelled (%s)", self._last.symbol, error)

    def wait(self, seconds: float) -> None:
        """Wait; afterwards nothing more may be sent if orders may rest no more."""
        if not self._may_rest(seconds):
            self._is_over = True

    def settle(self, gives_up: bool = False) -> None:
        """Ask until what became of the last order is known, or cannot be for now; then nothing more may be sent.

        Args:
            gives_up: cancels what stands.
        """
        assert self._last is not None, "an order is sent before it is settled"
        client_id, deadline = self._last.client_id, self.now() + self._account.valid_ms + 2 * self._account.late_ms
        while self.now() < deadline:
            try:
                if settle_order(self._account, self._journal, self._journal.order(client_id), self.now(), gives_up):
                    break
            except TransientError as error:
                logger.warning("%s: %s", self._last.symbol, error)
            self._account.wait(ASK_EVERY_S)
        after = self._journal.order(client_id)
        self._outcome, self._is_over = after.outcome or "unknown", self._is_over or after.outcome is None
        fills = self._journal.fills(self._last.symbol, client_id)
        self._traded += sum((abs(fill.quantity) for fill in fills), Decimal(0))
