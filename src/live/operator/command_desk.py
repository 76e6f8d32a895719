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


class CommandDesk:
    """One symbol's.

    Args:
        trader: whose guard and account are commanded.
    """

    def __init__(self, trader: Trader, services: SharedServices) -> None:
        self._trader, self._services = trader, services
        self._not_before, self._wait_ms = 0, FIRST_WAIT_MS

    def is_asked(self) -> bool:
        """Say whether there is something to do now.

        Raises:
            TradingHalted: the journal cannot be read.
        """
        return self._services.clock.now_ms() >= self._not_before and bool(self._pending())

    def work(self) -> bool:
        """Do what is to be done now; return whether that was anything.

        Raises:
            TradingHalted: the journal cannot be read or written.
        """
        now_ms = self._services.clock.now_ms()
        if now_ms < self._not_before:
            return False
        pending, self._not_before = self._pending(), now_ms + self._wait_ms  # unless all goes well
        if all(self._is_final(command) for command in pending):
            self._not_before, self._wait_ms = 0, FIRST_WAIT_MS
        else:
            self._wait_ms *= 2
        return bool(pending)

    def _pending(self) -> list[Command]:
        return self._services.journal.commands.pending(self._trader.symbol)

    def _is_final(self, command: Command) -> bool:
        # Carries it out; False if it is to be tried again.
        commands, now_ms = self._services.journal.commands, self._services.clock.now_ms()
        if now_ms - command.created_at > STALE_MS:
            why = command.result or "no bot could do it"
            self._finish(command, Outcome(f"not done within {STALE_MS // 60_000} minutes: {why}", False))
            return True
        if not commands.take(command, now_ms):
            return True
        outcome = self._tried(command)
        if outcome.is_final:
            self._finish(command, outcome)
        else:
            logger.warning("`%s`: %s", command.verb, redact(outcome.text))
            commands.report(command, redact(outcome.text))
        return outcome.is_final

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
        services.journal.commands.finish(command, outcome.is_well, text, services.clock.now_ms())
        services.notifier.info(f"`{command.verb}` from {command.origin}: {text}")
