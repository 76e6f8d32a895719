"""`Trader`: one symbol, one account, a bar at a time, through the session of the backtest.

    look     at clock and account, shortly before a candle is due
    settle   what became of the order of the bar before
    advance  the session processes the bar and books what was traded
    decide   agent -> stations -> sizing
    record   bar, decision, books and order in one transaction
    send     one request, and questions until its outcome is known
    protect  the stop at the exchange, where what is held has changed
    explain  what the decision rests on, which no order waits for

A bar is decided on only while it is fresh; one that is seen too late, after a pause of bot or exchange, is lived
through with the position held. So every bar has one step in the journal, and a restart goes on where the last step
ended. So does a bot whose step failed: what was lived through is what the journal holds, and nothing is sent.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from src.errors import OrderRefused, TraderError, TransientError
from src.execution import scalar
from src.execution.ledger import open_accounts
from src.execution.tape import TAPE_BARS, build_tape
from src.journal.schema import JournaledOrder, JournaledStep
from src.live.candle_feed import CandleFeed
from src.live.decision import NOT_SETTLED, TOO_LATE, Decided, DecisionMaker
from src.live.exchange_clock import ExchangeClock
from src.live.halt_file import halt_file
from src.live.live_guard import LiveGuard, RiskState
from src.live.live_model import LiveModel, require_decision
from src.live.shared_services import SharedServices
from src.live.trader_view import TraderView
from src.live.venues.venue import OrderRequest, Settled, Venue
from src.live.watching.alerts import Alerts
from src.live.watching.drift import DriftWatch
from src.live.watching.refusals import NO_ORDER, RefusalWatch, is_filled
from src.market.bars import Bar, BarSeries
from src.market.instrument import base_and_quote
from src.risk.guard import FOR_GOOD, FREE
from src.risk.stations.chain import make_chain
from src.risk.stations.order_limits import HOUR_MS
from src.trading.records import StepRecord
from src.trading.session import BarOutcome, Session, opening

logger = logging.getLogger(__name__)

AHEAD_MS = 5_000  # before a candle is due: what can be asked of the exchange by then is not asked after the close


class Trader:
    """Trades one symbol.

    Args:
        services: shared by all symbols.
        model: champion of the symbol.
        feed: candles known so far, at least the model's history.
        make_venue: where orders go, for the rules of a model.
        next_model: a newer champion, once there is one that passed its checks.
        view: what others may know, kept up to date.
    """

    def __init__(
        self,
        services: SharedServices,
        model: LiveModel,
        feed: CandleFeed,
        make_venue: Callable[[LiveModel], Venue],
        next_model: Callable[[LiveModel], LiveModel | None] = lambda model: None,
        view: TraderView | None = None,
    ) -> None:
        self.symbol, self.view = model.symbol, view or TraderView()
        self._refusals = RefusalWatch(model.symbol, self.view, services.notifier)
        second = None if services.halts is None else halt_file(services.halts, model.symbol)
        self.guard = LiveGuard(model.symbol, services.limits, services.journal, second)
        self._alerts = Alerts(self.guard, services.journal, services.notifier)
        self._services, self._feed, self._make_venue, self._next_model = services, feed, make_venue, next_model
        self._time = ExchangeClock(services.clock, feed.source, services.uptime_ms)
        self._is_open = self._is_current = False
        self._use(model)
        self._unexplained = last = self._resume()
        if last is not None:
            window_ms = services.config.drift.window_bars * self.step_ms
            since, until = last.close_time - window_ms, last.close_time - 1
            self._drift.replay(services.journal.each_step(self.symbol, since, until))

    # Models.

    def _use(self, model: LiveModel) -> None:
        limits = self._services.limits.in_currency(base_and_quote(self.symbol)[1])
        state = self._state() if self._is_open else None
        history_bars = max(model.agent.history_bars, TAPE_BARS)
        self._feed.backfill(history_bars)
        require_decision(model, self._feed.series(self._feed.last_open or 0, history_bars))
        self._history_bars = history_bars
        self.venue = self._make_venue(model)
        self.model = model
        self._session = Session(model.rules, scalar, self.venue.broker)
        self._stations = make_chain(limits, model.rules.action, model.rules.risk, [self.guard])
        self._decisions = DecisionMaker(model.agent, self._session, self._stations)
        self._drift = DriftWatch(self._services.config.drift, model.validation)
        if state is not None:
            self._restore(state)

    def _change_model(self, now_ms: int) -> None:
        older, newer = self.model, self._next_model(self.model)
        if newer is None:
            return
        try:
            self._use(newer)
        except TraderError as error:
            self._alerts.tell(f"a new champion was not taken up: {error}")
            return
        self._keep_history()
        self._alerts.note(now_ms, "model", f"{older.sha256[:12]} gave way to {newer.sha256[:12]}")

    # Bars.

    def tick(self) -> int:
        """Look for closed candles and process them; return how many there were."""
        self._alerts.watch_kill_switch(self.exchange_now())
        self._resume_if_failed()
        now_ms = self._look_at_clock()
        self.guard.settle(now_ms)
        self._explain()
        if 0 < self._due_ms - now_ms <= AHEAD_MS and self._feed.early(now_ms) is None:
            self._alerts.take(self.venue.look(now_ms), now_ms)
        if self._is_open and self._services.journal.unresolved(self.symbol):
            self._settle(self.exchange_now())  # whether or not there are candles: it may rest in the book
        try:
            poll = self._feed.poll(now_ms)
        except TraderError:
            self._protect()  # what is held needs its stop without candles, too
            raise
        for remark in poll.remarks:
            self._alerts.note(now_ms, "candles", remark)
        processed = self._catch_up()
        self._protect()
        return processed

    def start(self) -> int:
        """Recover from whatever ended the last run, then do as `tick`; the first candle of all is the newest closed."""
        now_ms = self._look_at_clock()
        self._keep_history()
        self._resume_if_failed()
        if self._is_open:
            self._settle(now_ms)
        return self.tick()

    def due_in_s(self) -> float:
        """Return the seconds until the next look should be made: shortly before the next candle, and at it.

        It is negative once the candle is overdue.
        """
        due_ms = self._due_ms - self._time.reached()
        return (due_ms - AHEAD_MS if due_ms > AHEAD_MS else due_ms) / 1000

    @property
    def _due_ms(self) -> int:
        # When the next candle has closed and settled.
        return self.view.last_close + self.step_ms + int(self._services.config.settle_s * 1000)

    def _look_at_clock(self) -> int:
        now_ms = self._time.at_least()
        self.view.clock_offset_ms = self._time.offset_ms
        return now_ms

    def _keep_history(self) -> None:
        # What decisions look back on, for restarts and replays; candles yet to be processed come with their steps.
        until = self.view.last_close or self._feed.last_open or 0
        self._services.journal.add_bars(self.symbol, [bar for bar in self._feed.bars_after(0) if bar.open_time < until])

    def _catch_up(self) -> int:
        first = (self.view.last_close or self._feed.last_open or 0) - 1
        bars = self._feed.bars_after(first)
        for bar in bars:
            is_last = bar is bars[-1]
            if is_last:
                self._change_model(self.exchange_now())
            self._process(bar, is_last)
        self._feed.forget_before(self._history_bars)
        return len(bars)

    def _process(self, bar: Bar, is_last: bool) -> None:
        started, now_ms = self._services.clock.now_ms(), max(self.exchange_now(), bar.close_time)
        latest = bar.close_time + int(self._services.config.decision_window_frac * self.step_ms)
        self._is_current = False
        step, order = self._step(bar, now_ms, is_last and now_ms <= latest)
        self._is_current = True
        self._account_for(step)
        self.view.decision_ms = self._services.clock.now_ms() - started
        outcome = None
        if order is not None:
            outcome = self._send(order, latest)
        if is_last:
            self._refusals.add(step, outcome)
        self._explain()

    def _step(self, bar: Bar, now_ms: int, is_fresh: bool) -> tuple[JournaledStep, JournaledOrder | None]:
        bars = self._feed.series(bar.open_time, self._history_bars)
        settled, outcome = self._books_after(bar, bars, now_ms)
        decided = self._decide(bars, now_ms, is_fresh, settled.is_known)
        order, refusal = self._planned(bar, now_ms)
        step = JournaledStep(
            symbol=self.symbol,
            close_time=bar.close_time,
            decided_at=now_ms,
            status=decided.status,
            record=StepRecord(bar.close_time, float(self._session.pending.target), *outcome)._asdict(),
            state=self._state(),
            saw=decided.saw,
            changed=[*decided.changed, *refusal, *settled.interventions],
            model=self.model.sha256,
        )
        self._services.journal.record_step(step, bar, order, settled.booked)
        for sentence in settled.interventions:
            self._alerts.tell(sentence)
        return step, order

    def _books_after(self, bar: Bar, bars: BarSeries, now_ms: int) -> tuple[Settled, BarOutcome]:
        if not self._is_open:
            self._session.open(open_accounts(scalar, (), self.model.rules.initial_equity, bar.close))
            self._is_open = True
            return self._settle(now_ms), opening(self._session.accounts)
        settled, halt = self._settle(now_ms), self._session.accounts.halt
        self._session.pending = settled.pending
        tape = build_tape(_last(bars, TAPE_BARS), self.model.rules.costs)
        outcome = self._session.advance(tape.bar(len(tape.close) - 1))
        if outcome.terminated:
            self._alerts.tell("a margin call closed the position; nothing is traded again")
        if self._session.accounts.halt > halt:
            until = "for good" if self._session.accounts.halt == FOR_GOOD else "until the UTC day is over"
            self._alerts.tell(f"a loss limit is reached; the position is closed {until}")
        return settled, outcome

    def _protect(self) -> None:
        # After the candle's order, which nothing holds up; at other looks, where it could not be done before.
        if not (self._is_open and self._is_current):
            return
        accounts, pending = self._session.accounts, self._session.pending
        lacking = self.venue.protect(accounts, pending, self.view.last_close, self.exchange_now)
        if lacking and lacking != self.view.unprotected:
            self._alerts.note(self.exchange_now(), "stop", lacking)
            self._alerts.tell(lacking)
        self.view.unprotected = lacking

    def _settle(self, now_ms: int) -> Settled:
        settled = self.venue.settle(self._session.accounts, self._session.pending, now_ms)
        if settled.is_known:
            self.view.last_settled = now_ms
        self._alerts.take(settled.alarms, now_ms)
        return settled

    # Decisions.

    def _decide(self, bars: BarSeries, now_ms: int, is_fresh: bool, is_settled: bool) -> Decided:
        if not is_fresh:
            return TOO_LATE
        if not is_settled:
            return NOT_SETTLED
        orders = self._services.journal.orders_since(int(bars.close_time[-1]) - HOUR_MS + 1)
        decided = self._decisions.decide(_last(bars, self.model.agent.history_bars), orders)
        if decided.alarm:
            self._alerts.escalate(RiskState.REDUCING, decided.alarm, now_ms)
        return decided

    def _explain(self) -> None:
        # Of the newest step. What a kill left out is made up for at the start, unless another model decides now.
        step, self._unexplained = self._unexplained, None
        if step is None:
            return
        if not step.is_explained and step.model == self.model.sha256:
            bars = self._feed.series(step.close_time - self.step_ms, self.model.agent.history_bars)
            step = replace(step, saw=step.saw | self._decisions.explain(step, bars))
            self._services.journal.explain_step(step)
        for state, sentence in self._drift.add(step):
            self._alerts.escalate(state, sentence, step.decided_at)

    def _planned(self, bar: Bar, now_ms: int) -> tuple[JournaledOrder | None, list[str]]:
        # The order of the target in force, or why there is none though it asks for one.
        pending, accounts = self._session.pending, self._session.accounts
        if pending.units == 0:
            return None, []
        request = OrderRequest(self.symbol, bar.close_time, now_ms, float(pending.units), bar.close)
        try:
            return self.venue.plan(request, accounts), []
        except OrderRefused as error:
            self._session.pending = pending._replace(units=0.0, target=accounts.target)
            return None, [f"{NO_ORDER}{error}"]

    def _send(self, order: JournaledOrder, latest: int) -> str:
        self.view.orders += 1
        outcome = self.venue.send(order, self.exchange_now, latest, self._may_rest)
        logger.info("%s: %s %s: %s", self.symbol, order.side, order.amount, outcome)
        if not is_filled(outcome):
            self._alerts.tell(f"order to {order.side} {order.amount}: {outcome}")
        return outcome

    # Books.

    def _state(self) -> dict[str, Any]:
        books = {name: float(value) for name, value in self._session.state_dict().items()}
        return {"books": books, "stations": self._stations.state_dict(), "guard": self.guard.state.name}

    def _restore(self, state: dict[str, Any]) -> None:
        books = state["books"]
        self._session.load_state_dict(books | {"accounts.ruined": bool(books["accounts.ruined"])})
        self._stations.load_state_dict(state["stations"])
        self._is_open = True

    def _resume(self) -> JournaledStep | None:
        # A write may fail after it was committed, so the journal is asked what was lived through.
        last = self._services.journal.last_step(self.symbol)
        self._is_open = last is not None
        if last is not None:
            self._restore(last.state)
            self._show(last)
        self._is_current = True
        return last

    def _resume_if_failed(self) -> None:
        if not self._is_current:
            self._resume()

    def _show(self, step: JournaledStep) -> None:
        view, record = self.view, step.record
        view.last_close, view.equity, view.units = step.close_time, record["equity"], record["units"]
        view.target = record["target"]

    def _account_for(self, step: JournaledStep) -> None:
        self._show(step)
        view = self.view
        view.decided += step.status == "decided"
        view.passed_over += step.status != "decided"
        for sentence in step.changed:
            logger.info("%s: %s", self.symbol, sentence)
        self._unexplained = step

    def last_step(self) -> JournaledStep | None:
        """Return the newest step in the journal."""
        return self._services.journal.last_step(self.symbol)

    def _may_rest(self, seconds: float) -> bool:
        # Whether an order may rest in the book so long, and then on: not once HALTED, commanded or told to stop, nor
        # where a loss limit closes the position.
        self.view.pulse.beat(seconds)
        try:
            self._services.clock.sleep(seconds)
        except TransientError:
            return False
        self._alerts.watch_kill_switch(self.exchange_now())
        is_free = self.guard.state is not RiskState.HALTED and self._session.accounts.halt == FREE
        return is_free and not self._services.journal.commands.pending(self.symbol)

    # What people should know.

    @property
    def step_ms(self) -> int:
        """Length of a candle."""
        return self._feed.source.step_ms

    def exchange_now(self) -> int:
        """Return the exchange's time, as of the last look at it."""
        return self._time.now()

    def escalate(self, state: RiskState, reason: str) -> None:
        """Make the guard stricter, and say so."""
        self._alerts.escalate(state, reason, self.exchange_now())


def _last(bars: BarSeries, count: int) -> BarSeries:
    return bars[max(0, len(bars) - count) :]
