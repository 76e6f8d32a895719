"""Replays a recorded day through the bot's own path and says where it differs from what was recorded.

Candles, states and, with real orders, fills come from the journal; decisions and books are worked out anew.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.reported_fills import BookedFills
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import DataError, OrderRefused
from src.execution.broker import Broker
from src.execution.ledger import Accounts
from src.execution.orders import Orders
from src.execution.tape import DAY_MS, TAPE_BARS
from src.journal.journal import Journal
from src.journal.queries import JournalQueries
from src.journal.schema import JournaledFill, JournaledOrder, JournaledStep
from src.live.candle_feed import CandleFeed
from src.live.live_guard import CLOSING, RiskState
from src.live.live_model import LiveModel
from src.live.shared_services import SharedServices
from src.live.trader import Trader
from src.live.venues.paper import PaperVenue
from src.live.venues.paper_exchange import PaperBooks
from src.live.venues.venue import Alarms, OrderKind, OrderRequest, Settled, Venue
from src.live.watching.notify import Notifier
from src.market.bars import COLUMNS, Bar, timeframe_ms
from src.market.instrument import base_and_quote
from src.market.quality.findings import utc


class Recorded:
    """A `BarSource` of candles from a journal; also the clock, moved to each recorded decision."""

    def __init__(self, symbol: str, timeframe: str, bars: Sequence[Bar]) -> None:
        self.symbol, self.timeframe, self.step_ms = symbol, timeframe, timeframe_ms(timeframe)
        self.bars, self.time = bars, 0

    def now(self) -> int:
        """Return the recorded time."""
        return self.time

    def now_ms(self) -> int:
        """Return the recorded time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Nothing is waited for."""

    def page(self, since: int) -> pd.DataFrame:
        """Return what is recorded from then on."""
        rows = [[getattr(bar, name) for name in COLUMNS] for bar in self.bars if bar.open_time >= since]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"open_time": np.int64})


class RecordedVenue:
    """Reports the fills and orders of the journal."""

    def __init__(
        self,
        journal: JournalQueries,
        symbol: str,
        steps: Sequence[JournaledStep],
        books: BookedFills | PaperBooks,
    ) -> None:
        self._journal, self._symbol, self._steps = journal, symbol, {step.close_time: step for step in steps}
        self.account: BrokerAccount | None = None
        self._books = books
        self.broker: Broker = books
        self.close_time = 0

    def look(self, now_ms: int) -> Alarms:
        """What came of it is recorded."""
        return Alarms()

    def settle(self, accounts: Accounts, pending: Orders, now_ms: int) -> Settled:
        """Return what the recorded step took into its books."""
        step = self._steps[self.close_time]
        fills: list[JournaledFill] = self._journal.fills(self._symbol, booked_at=self.close_time)
        is_called = step.record["terminated"]  # then the target that was in force until the call is the pending one
        target = pending.target if is_called else step.state["books"]["accounts.target"]
        known = Orders(self._books.take(fills), target if fills else accounts.target)
        return Settled(step.status != "unsettled", known, [])

    def plan(self, request: OrderRequest, accounts: Accounts) -> JournaledOrder:
        """Return the recorded order."""
        order = self._journal.order_of(self._symbol, request.close_time)
        if order is None:
            raise OrderRefused("none is recorded")
        return order

    def send(self, order: JournaledOrder, exchange_now: object, latest: int, may_rest: object) -> str:
        """Nothing is sent."""
        return "paper"

    def protect(self, accounts: Accounts, pending: Orders, close_time: int, exchange_now: object) -> str:
        """What a stop sold is among the recorded fills."""
        return ""


def replay_day(
    journal: JournalQueries, model: LiveModel, config: LiveConfig, limits: RiskLimits, day_ms: int, kind: OrderKind
) -> tuple[int, list[str]]:
    """Return how many recorded steps of a UTC day were processed again, and what came out otherwise.

    Raises:
        DataError: nothing is recorded, or another model decided.
    """
    symbol = model.symbol
    steps = journal.steps(symbol, day_ms, day_ms + DAY_MS)
    before = journal.last_step(symbol, until=day_ms)
    if before is None:  # the very first step opened the account, and is taken as given
        before, steps = (steps[0], steps[1:]) if steps else (None, [])
    if before is None or not steps:
        raise DataError(f"the journal holds no step of {symbol} on {utc(day_ms)[:10]}; `status` says what it holds")
    if other := next((step for step in steps if step.model != model.sha256), None):
        raise DataError(
            f"{symbol}: model {other.model[:12]} decided on {utc(other.close_time)}, and the champion is "
            f"{model.sha256[:12]}; put the former back to replay it"
        )
    count = max(model.agent.history_bars, TAPE_BARS) + len(steps) + 1
    bars = journal.bars(symbol, steps[-1].close_time, count, timeframe_ms(model.timeframe))
    source = Recorded(symbol, model.timeframe, bars)
    venue = _venue(journal, model, config, steps, kind)
    trader = _trader(before, model, config, limits, source, venue)
    differences = []
    for step in steps:
        source.time, trader.guard.state = step.decided_at, RiskState[step.state["guard"]]
        trader.guard.keep_flat(any(CLOSING in sentence for sentence in step.changed))
        if isinstance(venue, RecordedVenue):
            venue.close_time = step.close_time
        trader.tick()
        differences += _differences(step, trader)
    return len(steps), differences


def _venue(
    journal: JournalQueries, model: LiveModel, config: LiveConfig, steps: Sequence[JournaledStep], kind: OrderKind
) -> RecordedVenue | PaperVenue:
    if kind is OrderKind.PAPER:
        return PaperVenue(model.rules, config.account)
    coins = base_and_quote(model.symbol)
    books = BookedFills(*coins) if kind is OrderKind.REAL else PaperBooks(*coins, model.rules.costs)
    return RecordedVenue(journal, model.symbol, steps, books)


def _trader(
    before: JournaledStep, model: LiveModel, config: LiveConfig, limits: RiskLimits, source: Recorded, venue: Venue
) -> Trader:
    scratch = Journal("sqlite://")  # in memory
    opened = Bar(before.close_time - source.step_ms, before.close_time, 1.0, 1.0, 1.0, 1.0, 0.0)
    scratch.record_step(before, opened, None, [])
    known = [bar for bar in source.bars if bar.open_time < before.close_time]
    services = SharedServices(
        config, replace(limits, max_orders_per_hour=10**9), scratch, Notifier(), source, uptime_ms=source.now_ms
    )
    return Trader(services, model, CandleFeed(source, known), lambda _: venue)


def _differences(step: JournaledStep, trader: Trader) -> list[str]:
    again = trader.last_step()
    if again is None or again.close_time != step.close_time:
        return [f"{utc(step.close_time)}: the step was not processed again"]
    pairs = {**{name: (step.record[name], again.record[name]) for name in step.record}}
    pairs |= {name: (step.saw.get(name), again.saw.get(name)) for name in ("wanted", "confidence")}
    return [
        f"{utc(step.close_time)}: {name} was {json.dumps(was)}, and is {json.dumps(now)} now"
        for name, (was, now) in pairs.items()
        if was != now
    ]
