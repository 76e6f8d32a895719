"""`PaperExchangeVenue`: orders filled in the books alone, as an exchange would fill them.

Orders are shaped by the same code as real ones, and refused in the same words. One that passes is immediate or cancel:

    price    the open of the next candle, moved towards the worst price of that candle by the square root of latency
             over the candle's length, as far as a random walk goes in that time; then spread, slippage and impact as in
             a backtest. Never worse than the limit price: then nothing fills.
    amount   at most a share of what that candle trades; the rest lapses

Both look at the candle after the decision, when it has closed. What came out is kept as fills in the journal, from
which a day is replayed. The account is a margin account where its champion needs one, else it owns what it sells.
"""

from collections.abc import Callable
from decimal import Decimal
from math import sqrt

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.reported_fills import BookedFills
from src.config.trading import CostsConfig
from src.errors import OrderRefused
from src.execution import scalar
from src.execution.broker import Broker
from src.execution.costs import BPS
from src.execution.ledger import Accounts, charge_interest, is_covered
from src.execution.order_filters import decimal_of, round_down
from src.execution.orders import Fills, Orders
from src.execution.simulated import SimulatedBroker
from src.execution.tape import TAPE_BARS, Tape, build_tape
from src.journal.journal import Journal
from src.journal.schema import JournaledFill, JournaledOrder
from src.live.candle_feed import CandleFeed
from src.live.venues.order_terms import OrderTerms, filters_now, require_trading
from src.live.venues.paper import require_exposure
from src.live.venues.venue import Alarms, OrderRequest, Settled, journaled
from src.market.bars import Bar
from src.trading.rules import TradingRules

RELOAD_MS = 6 * 3_600_000
WAITS = "fills with the next candle"


class PaperBooks:
    """A `Broker` of what the venue filled; margin calls are filled as in a backtest.

    Args:
        base, quote: the coins of the market.
    """

    def __init__(self, base: str, quote: str, costs: CostsConfig) -> None:
        self._booked, self._simulated = BookedFills(base, quote), SimulatedBroker(costs, scalar)
        self._units: float | None = None

    def take(self, fills: list[JournaledFill]) -> float:
        """Hand over the fills of the next bar; return the units they add up to."""
        self._units = self._booked.take(fills)
        return self._units

    def fill(self, orders: Orders, price: float, bar: Tape) -> Fills:
        """Return the fills handed over, once; other orders are margin calls."""
        if orders.units != self._units:
            return self._simulated.fill(orders, price, bar)
        self._units = None
        return self._booked.fill(orders, price, bar)


class PaperExchangeVenue:
    """Fills orders in the books alone, as an exchange would.

    Args:
        markets: says what the market demands; needs no key.
        feed: where the next candle appears.
    """

    def __init__(
        self,
        rules: TradingRules,
        terms: OrderTerms,
        markets: BrokerAccount,
        journal: Journal,
        feed: CandleFeed,
    ) -> None:
        self._rules, self._terms, self._markets, self._journal, self._feed = rules, terms, markets, journal, feed
        self._volume_frac, self._latency_ms = terms.config.paper.volume_frac, int(1000 * terms.config.paper.latency_s)
        self._symbol, self._loaded = feed.source.symbol, 0
        self.account: BrokerAccount | None = None
        self._market = filters_now(markets, self._symbol).instrument
        self._books = PaperBooks(self._market.base, self._market.quote, rules.costs)
        self._simulated = SimulatedBroker(rules.costs, scalar)
        self.broker: Broker = self._books

    def look(self, now_ms: int) -> Alarms:
        """Nobody else has this account; what the market demands is read anew now and then."""
        if now_ms - self._loaded > RELOAD_MS:
            self._markets.connect()
            self._loaded = now_ms
        return Alarms()

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Fit the request to the exchange's filters and to what is owned."""
        self.look(request.now_ms)
        filters = filters_now(self._markets, self._symbol)
        require_trading(self._markets, filters)
        require_exposure(request, accounts, self._rules.action.bounds)
        (low, high), spendable, sellable = self._rules.action.bounds, None, None
        if low < 0 or high > 1:
            spendable = self._terms.room(accounts, request.reference)
        elif request.units > 0:
            spendable = self._terms.spendable(decimal_of(accounts.cash), accounts, request.reference)
        else:
            sellable = decimal_of(accounts.units)
        shape = self._terms.shape(filters, request, spendable, sellable)
        return journaled(self._terms.config.account, request, shape.quantity, shape.price, "resolved", WAITS)

    def send(
        self, order: JournaledOrder, exchange_now: Callable[[], int], latest: int, may_rest: Callable[[float], bool]
    ) -> str:
        """Nothing is sent; an order that would have left too late never fills."""
        if (late_ms := exchange_now() - latest) <= 0:
            return "paper"
        outcome = f"never sent: it would have left {late_ms / 1000:.1f} s too late"
        self._journal.resolve(order.client_id, outcome)
        return outcome

    def protect(self, accounts: Accounts, pending: Orders, close_time: int, exchange_now: Callable[[], int]) -> str:
        """Nothing is at stake."""
        return ""

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """Fill the order of the bar before by the candle that followed it."""
        last = self._journal.last_step(self._symbol)
        order = None if last is None else self._journal.order_of(self._symbol, last.close_time)
        if order is not None and order.outcome == WAITS:
            for candle in self._feed.bars_after(order.close_time - 1)[:1]:
                self._fill(order, accounts, candle)
        fills = self._journal.fills(self._symbol, unbooked=True)
        units, price = self._books.take(fills), fills[-1].price if fills else Decimal(0)
        filters = filters_now(self._markets, self._symbol)
        known = Orders(units, self._terms.target_after(accounts, pending, units, price, filters))
        return Settled(True, known, [fill.trade_id for fill in fills])

    def _fill(self, order: JournaledOrder, accounts: Accounts, candle: Bar) -> None:
        try:
            fill = self._fill_of(order, accounts, candle)
        except OrderRefused as error:
            self._journal.resolve(order.client_id, f"not filled: {error}")
            return
        whole = abs(fill.quantity) == order.amount
        outcome = "filled" if whole else f"{abs(fill.quantity)} of {order.amount} filled"
        self._journal.add_fills([fill], order.client_id, outcome)

    def _fill_of(self, order: JournaledOrder, accounts: Accounts, candle: Bar) -> JournaledFill:
        bars = self._feed.series(candle.open_time, TAPE_BARS)
        tape, sign = build_tape(bars, self._rules.costs).bar(len(bars) - 1), 1 if order.side == "buy" else -1
        if not self._has_margin(accounts, tape):
            raise OrderRefused("a margin call closed the account first")
        there = round_down(decimal_of(self._volume_frac * candle.volume), self._market.step)
        amount = min(order.amount, there)
        if amount <= 0:
            raise OrderRefused(f"the candle traded {candle.volume:g} {self._market.base}")
        fills = self._simulated.fill(Orders(sign * float(amount), 0.0), self._arrival_price(tape, sign), tape)
        price = decimal_of(fills.price)
        if order.price is not None and sign * (price - order.price) > 0:
            raise OrderRefused(f"the price was {price:.8g}, and the limit {order.price:.8g}")
        return JournaledFill(
            symbol=self._symbol,
            trade_id=f"paper {order.client_id}",
            client_id=order.client_id,
            time=candle.open_time + self._latency_ms,
            quantity=sign * amount,
            price=price,
            fee=decimal_of(fills.commission),
            fee_coin=self._market.quote,
        )

    def _arrival_price(self, tape: Tape, sign: int) -> float:
        worst = tape.high if sign > 0 else tape.low
        way = min(sqrt(self._latency_ms / self._feed.source.step_ms), 1.0)
        return float(tape.open + (worst - tape.open) * way)

    def _has_margin(self, accounts: Accounts, tape: Tape) -> bool:
        # As the session finds at this open; then its call comes before the order.
        costs = self._rules.costs
        borrow, financing = costs.borrow_bps_per_year * BPS, costs.financing_bps_per_year * BPS
        charged, _ = charge_interest(scalar, accounts, tape.years * borrow, tape.years * financing)
        return bool(is_covered(scalar, charged, tape.open, tape.open, self._rules.risk.maintenance_margin_frac))
