"""`CommandDesk`: carries out what people ask of a symbol while its bot runs, in the thread of its worker.

A command is taken, carried out and finished. One that was taken when the bot was killed is carried out when it starts
again, before anything else is looked at, as if the bot had not been stopped: a `close` sells what the fills say is
left, and nothing twice. What could not be done in time is not done late: whoever asked was told so.
"""

import logging

from src.brokerage.redaction import redact
from src.errors import TraderError, TransientError
from src.journal.commands import Command
from src.live.operator.carry_out import Desk, Outcome, carry_out
from src.live.shared_services import SharedServices
from src.live.trader import Trader

logger = logging.getLogger(__name__)

STALE_MS = 600_000
FIRST_WAIT_MS = 5_000  # before the second try; twice as long each time
JOURNAL_WAIT_MS = 30_000  # before a journal that failed is asked again


class CommandDesk:
    """One symbol's.

    Args:
        trader: whose guard and account are commanded.
    """

    def __init__(self, trader: Trader, services: SharedServices) -> None:
        self._trader, self._services = trader, services
        self._commands = services.journal.commands
        self._closed_until = self._again_at = 0
        self._wait_ms = FIRST_WAIT_MS

    def is_asked(self) -> bool:
        """Say whether there is something to do now.

        Raises:
            TradingHalted: the journal cannot be read.
        """
        return bool(self._due())

    def work(self) -> bool:
        """Do what is to be done now; return whether that was anything.

        Raises:
            TradingHalted: the journal cannot be read or written.
        """
        try:
            due = self._due()
            tried = [self._is_final(command) for command in due]
        except TraderError:
            self._closed_until = self._services.clock.now_ms() + JOURNAL_WAIT_MS
            raise
        if all(tried):
            self._wait_ms = FIRST_WAIT_MS
        else:
            self._again_at, self._wait_ms = self._services.clock.now_ms() + self._wait_ms, 2 * self._wait_ms
        return bool(due)

    def _due(self) -> list[Command]:
        now_ms = self._services.clock.now_ms()
        if now_ms < self._closed_until:
            return []
        pending = self._commands.pending(self._trader.symbol)
        return [command for command in pending if command.state == "asked" or now_ms >= self._again_at]

    def _is_final(self, command: Command) -> bool:
        # Carries it out; False if it is to be tried again.
        now_ms = self._services.clock.now_ms()
        if now_ms - command.created_at > STALE_MS:
            why = command.result or "no bot could do it"
            self._finish(command, Outcome(f"not done within {STALE_MS // 60_000} minutes: {why}", False))
            return True
        if not self._commands.take(command, now_ms):
            return True
        if command.verb == "resume":
            self._overtake(command)
        outcome = self._tried(command)
        if outcome.is_final:
            self._finish(command, outcome)
        else:
            logger.warning("`%s`: %s", command.verb, redact(outcome.text))
            self._commands.report(command, redact(outcome.text))
        return outcome.is_final

    def _overtake(self, resume: Command) -> None:
        # A `close` that could not be done yet would sell after people wanted to go on.
        for command in self._commands.pending(resume.symbol):
            if command.id < resume.id:
                self._finish(command, Outcome(f"{command.symbol}: a later `resume` overtook it", False))

    def _tried(self, command: Command) -> Outcome:
        symbol = self._trader.symbol
        try:
            return carry_out(command.verb, self._desk())
        except TransientError as error:
            return Outcome(f"{symbol}: {error}", False, is_final=False)
        except TraderError as error:
            return Outcome(f"{symbol}: {error}", False)
        except Exception as error:
            self._finish(command, Outcome(f"{symbol}: unexpected {type(error).__name__}: {error}", False))
            raise

    def _desk(self) -> Desk:
        trader, services = self._trader, self._services
        account, offset_ms = trader.venue.account, trader.view.clock_offset_ms
        return Desk(trader.guard, services.journal, services.config, account, services.clock, offset_ms)

    def _finish(self, command: Command, outcome: Outcome) -> None:
        services, text = self._services, redact(outcome.text)
        self._commands.finish(command, outcome.is_well, text, services.clock.now_ms())
        services.notifier.info(f"`{command.verb}` from {command.origin}: {text}")
