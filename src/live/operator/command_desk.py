"""`CommandDesk`: carries out what people ask of a symbol while its bot runs, in the thread of its worker.

A command is taken, carried out and finished. One that was taken when the bot was killed is carried out when it starts
again, before anything else is done, as if the bot had never stopped: a `close` sells what the fills say is left, and
nothing twice. One that could not be carried out in time is not carried out late: whoever asked has seen that nothing
came of it.
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
AGAIN_AFTER_MS = 5_000  # what could not be settled yet


class CommandDesk:
    """One symbol's.

    Args:
        trader: whose guard and account are commanded.
    """

    def __init__(self, trader: Trader, services: SharedServices) -> None:
        self._trader, self._services = trader, services
        self._not_before = 0

    def work(self) -> bool:
        """Carry out what was asked; return whether anything was.

        Raises:
            TradingHalted: the journal cannot be read or written.
        """
        now_ms, waited_for = self._services.clock.now_ms(), self._not_before
        if now_ms < waited_for:
            return False
        self._not_before = now_ms + AGAIN_AFTER_MS  # unless all goes well
        pending = self._services.journal.commands.pending(self._trader.symbol)
        if all(self._is_settled(command) for command in pending):
            self._not_before = 0
        return bool(pending)

    def _is_settled(self, command: Command) -> bool:
        # Carries it out; False if it is to be tried again.
        commands, now_ms = self._services.journal.commands, self._services.clock.now_ms()
        if now_ms - command.created_at > STALE_MS:
            why = command.result or "no bot could do it"
            self._finish(command, Outcome(f"not done within {STALE_MS // 60_000} minutes: {why}", False))
            return True
        if not commands.take(command, now_ms):
            return True
        try:
            outcome = carry_out(command.verb, self._desk())
        except TransientError as error:
            outcome = Outcome(f"the exchange cannot be asked: {error}", False, is_settled=False)
        except TraderError as error:
            outcome = Outcome(str(error), False)
        if outcome.is_settled:
            self._finish(command, outcome)
        else:
            logger.warning("`%s`: %s", command.verb, redact(outcome.text))
            commands.report(command, redact(outcome.text))
        return outcome.is_settled

    def _desk(self) -> Desk:
        trader, services = self._trader, self._services
        return Desk(trader.guard, services.journal, services.config, trader.venue.account, trader.exchange_now)

    def _finish(self, command: Command, outcome: Outcome) -> None:
        services, text = self._services, redact(outcome.text)
        services.journal.commands.finish(command, outcome.is_well, text, services.clock.now_ms())
        services.notifier.info(f"`{command.verb}` from {command.origin}: {text}")
