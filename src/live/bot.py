"""`Bot`: one worker thread per symbol, and the loop that watches over them.

A symbol that fails fails alone. Here, and nowhere below, is everything caught: what passes is tried again with growing
waits, what a person must see halts the symbol, and so does anything unexpected. What goes on is told once, and that
it is over, too. A signal to stop ends every wait and lets each worker finish what it is doing, the questions after a
sent order included, for `FINISH_S`; what is then still unknown is in the journal.
"""

import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from src.brokerage.redaction import redact
from src.errors import DataError, TraderError, TradingHalted, TransientError
from src.execution.tape import DAY_MS
from src.live.live_guard import RiskState
from src.live.operator.command_desk import CommandDesk
from src.live.shared_services import SharedServices
from src.live.trader import Trader
from src.live.watching.refusals import REPEATED
from src.live.watching.totals import equity_by_currency
from src.market.instrument import base_and_quote

logger = logging.getLogger(__name__)

LONGEST_WAIT_S = 30.0
FIRST_RETRY_S = 2.0
SHORTEST_WAIT_S = 0.2
COMMAND_EVERY_S = 1.0  # how often a worker asks whether it is commanded
SHORTEST_OVERDUE_S = 60.0
FINISH_S = 20.0  # for the questions after a sent order, once the bot is told to stop
END_S = FINISH_S + 25.0  # a worker that does not end by then is stuck, since no request takes so long
LOOKS_AT_STUCK = 30  # in a row, a second apart, before the bot ends for want of a worker that moves
JUST_AFTER_S = 0.05  # a look a moment too early would have to be followed by another


class Stream(Protocol):
    """Tells by an event that a candle has finished; `market.history.candle_stream.CandleStream` in earnest."""

    wake: threading.Event

    def start(self) -> None:
        """Begin to listen."""
        ...

    def close(self) -> None:
        """Listen no more."""
        ...


class Worker:
    """Runs one trader.

    Args:
        trader: not yet started.
        stream: not yet started; tells when a candle has finished.
    """

    def __init__(self, trader: Trader, services: SharedServices, stream: Stream | None = None) -> None:
        self.trader, self._services, self.stream = trader, services, stream
        self.wake = threading.Event() if stream is None else stream.wake
        self._desk = CommandDesk(trader, services)
        self._is_started = False
        self._failures = 0
        self._silent_since: int | None = None
        self._overdue_after = 0  # close of the candle after which none came

    def once(self) -> float:
        """Do what people ask and look for candles, whatever happens; return the seconds to wait until the next look."""
        trader, now = self.trader, self._services.clock.now_ms()
        trader.view.pulse.beat()
        try:
            if self._desk.work():
                self._silent_since = None  # a person is at it
            self._look()
            self._well()
        except DataError as error:  # no candles, no decision: nothing is at risk
            self._troubled(str(error))
        except TransientError as error:
            self._troubled(str(error))
            self._halt_if_silent(now, str(error))
        except TradingHalted as error:
            self._halt(str(error))
        except Exception as error:
            logger.error("%s", redact(traceback.format_exc()))
            self._halt(f"unexpected {type(error).__name__}: {error}")
        wait_s = self._wait_s()
        trader.view.pulse.beat(wait_s)
        return wait_s

    def _look(self) -> None:
        if self._is_started:
            self.trader.tick()
            return
        guard = self.trader.guard
        if guard.state is not RiskState.ACTIVE and not self._failures:
            self._services.notifier.error(f"{guard.symbol} starts {guard.state.name}: {guard.reason}")
        self.trader.start()
        self._is_started = True

    def _well(self) -> None:
        if self._failures >= REPEATED:
            self._services.notifier.info(f"{self.trader.symbol}: looks succeed again")
        self._failures, self._silent_since, self.trader.view.trouble = 0, None, ""
        self._tell_if_overdue()

    def is_asked(self) -> bool:
        """Say whether a person asks for something, for which the next look is not waited for."""
        try:
            return self._desk.is_asked()
        except TraderError:  # the next look meets it, too, and says so
            return False

    def _troubled(self, reason: str) -> None:
        self._failures += 1
        self.trader.view.trouble = redact(reason)
        log = logger.error if self._failures == 1 else logger.warning
        log("%s: %s", self.trader.symbol, redact(reason))
        if self._failures == REPEATED:
            self._services.notifier.error(f"{self.trader.symbol}: {REPEATED} looks in a row have failed: {reason}")

    def _tell_if_overdue(self) -> None:
        # Once for each candle that does not come, and when one comes again.
        trader, longest_s = self.trader, self._longest_overdue_s()
        last, notifier = trader.view.last_close, self._services.notifier
        if self._overdue_after not in (0, last):
            self._overdue_after = 0
            notifier.info(f"{trader.symbol}: candles come again")
        overdue_s = (trader.exchange_now() - last - trader.step_ms) / 1000
        if last not in (0, self._overdue_after) and overdue_s > longest_s:
            self._overdue_after = last
            notifier.error(f"{trader.symbol}: the next candle is overdue by more than {longest_s:g} s")

    def _longest_overdue_s(self) -> float:
        # With a position at stake, no longer than the candle would have taken.
        longest_s, step_s = self._services.config.max_silence_s, self.trader.step_ms / 1000
        return min(longest_s, max(step_s, SHORTEST_OVERDUE_S)) if self.trader.view.units else longest_s

    def _halt_if_silent(self, now: int, reason: str) -> None:
        # A revoked key can look like throttling for ever.
        self._silent_since = self._silent_since or now
        if now - self._silent_since > self._services.config.max_silence_s * 1000:
            self._halt(f"the account could not be read for {self._services.config.max_silence_s:g} s ({reason})")

    def _halt(self, reason: str) -> None:
        self._failures += 1
        self.trader.view.trouble = redact(reason)
        try:
            self.trader.escalate(RiskState.HALTED, redact(reason))
        except TradingHalted as error:  # it holds in memory; the journal cannot take it
            logger.error("%s: %s", self.trader.symbol, redact(error))

    def _wait_s(self) -> float:
        if self._failures:
            return float(min(FIRST_RETRY_S * 2 ** (self._failures - 1), LONGEST_WAIT_S))
        due_s, settle_s = self.trader.due_in_s(), self._services.config.settle_s
        return min(due_s + JUST_AFTER_S if due_s > 0 else max(settle_s, SHORTEST_WAIT_S), LONGEST_WAIT_S)


class Bot:
    """Runs all workers until it is told to stop.

    Args:
        stop: set by signals.
    """

    def __init__(self, workers: Sequence[Worker], services: SharedServices, stop: threading.Event) -> None:
        self.workers, self._services, self._stop = workers, services, stop
        self._stuck: set[str] = set()

    def run(self, give_sign: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set and every worker has finished what it was doing, or was given up.

        Args:
            give_sign: called about once a second, while all workers move.

        Raises:
            TransientError: one is stuck for good; whatever runs the bot starts it anew.
        """
        threads = [
            threading.Thread(target=self._work, args=(worker,), name=worker.trader.symbol, daemon=True)
            for worker in self.workers
        ]
        streams = [worker.stream for worker in self.workers if worker.stream is not None]
        for stream in streams:
            stream.start()
        for thread in threads:
            thread.start()
        tell_systemd("READY=1")
        day, looks_in_vain = self._services.clock.now_ms() // DAY_MS, 0
        while not self._stop.wait(1.0):
            if all(thread.is_alive() for thread in threads) and self._all_move():
                looks_in_vain = 0
                tell_systemd("WATCHDOG=1")
                give_sign()
            elif (looks_in_vain := looks_in_vain + 1) >= LOOKS_AT_STUCK:
                raise TransientError("a worker is stuck, so the bot ends; its next start goes on from the journal")
            today = self._services.clock.now_ms() // DAY_MS
            if today > day:
                self._services.notifier.info(self.summary(day * DAY_MS))
                day = today
        tell_systemd("STOPPING=1")
        for worker in self.workers:
            worker.wake.set()
        for stream in streams:
            stream.close()
        if not _ended(threads, END_S):
            logger.error(
                "a worker does not end; what it was doing is in the journal, and the next start goes on from it"
            )

    def _all_move(self) -> bool:
        # Each worker that is stuck is told once.
        stuck = {worker.trader.symbol for worker in self.workers if worker.trader.view.pulse.is_missing}
        for symbol in stuck - self._stuck:
            self._services.notifier.error(f"{symbol}: its worker is stuck; the bot has to be started again")
        self._stuck = stuck
        return not stuck

    def summary(self, since: int) -> str:
        """Return what happened since a time, a line for each symbol, and what they are worth together."""
        lines = [self._summary_of(worker.trader, since) for worker in self.workers]
        if len(lines) > 1:
            totals = equity_by_currency(worker.trader for worker in self.workers)
            lines.append("together: " + ", ".join(f"{total:.2f} {currency}" for currency, total in totals.items()))
        return "\n".join(lines)

    def _summary_of(self, trader: Trader, since: int) -> str:
        steps = self._services.journal.steps(trader.symbol, since, since + DAY_MS)
        if not steps:
            return f"{trader.symbol}: no candle was seen; {trader.guard.state.name} {trader.guard.reason}".strip()
        first, last = steps[0].record, steps[-1].record
        fills = sum(step.record[units] != 0 for step in steps for units in ("fill_units", "call_units"))
        change, guard = last["equity"] / first["equity"] - 1, trader.guard
        currency = base_and_quote(trader.symbol)[1]
        return (
            f"{trader.symbol}: equity {last['equity']:.2f} {currency} ({change:+.2%}), position {last['units']:g}, "
            f"{len(steps)} candles, {fills} fills; {guard.state.name} {guard.reason}"
        ).strip()

    def _work(self, worker: Worker) -> None:
        while not self._stop.is_set():
            self._wait(worker, worker.once())

    def _wait(self, worker: Worker, wait_s: float) -> None:
        # Until the next look, or until a candle has finished early, or a person asks for something.
        while not worker.wake.wait(min(wait_s, COMMAND_EVERY_S)) and wait_s > COMMAND_EVERY_S:
            wait_s -= COMMAND_EVERY_S
            if self._stop.is_set() or worker.is_asked():
                return
        worker.wake.clear()


def _ended(threads: Sequence[threading.Thread], within_s: float) -> bool:
    until = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0.0))
    return not any(thread.is_alive() for thread in threads)


def tell_systemd(state: str) -> None:
    """Send a state to systemd where it asked for one, as `sd_notify(3)` does."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        try:
            end.connect("\0" + address[1:] if address.startswith("@") else address)
            end.sendall(state.encode())
        except OSError as error:
            logger.warning("systemd was not told %s (%s)", state, error)
