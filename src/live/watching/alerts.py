"""`Alerts`: where something is wrong, the guard of a symbol becomes stricter, and people are told."""

import logging

from src.journal.journal import Journal
from src.live.live_guard import LiveGuard, RiskState
from src.live.venues.venue import Alarms
from src.live.watching.notify import Notifier

logger = logging.getLogger(__name__)


class Alerts:
    """Of one symbol.

    Args:
        guard: of the symbol.
        journal: keeps what people may ask about later.
        notifier: tells people now.
    """

    def __init__(self, guard: LiveGuard, journal: Journal, notifier: Notifier) -> None:
        self._guard, self._journal, self._notifier = guard, journal, notifier

    def escalate(self, state: RiskState, reason: str, now_ms: int) -> None:
        """Make the guard stricter, and say so; ACTIVE only says so.

        Raises:
            TradingHalted: the journal cannot keep it; it holds in memory, and people are told.
        """
        guard, was = self._guard, self._guard.state
        try:
            is_new = guard.escalate(state, reason, now_ms)
        finally:
            if guard.state != was or state is RiskState.ACTIVE:
                self._notifier.error(f"{guard.symbol} is {guard.state.name}: {reason}")
        if not is_new:
            logger.warning("%s: %s", guard.symbol, reason)

    def take(self, alarms: Alarms, now_ms: int) -> None:
        """Escalate what a look at the account found."""
        for sentence in alarms.halts:
            self.escalate(RiskState.HALTED, sentence, now_ms)
        for sentence in alarms.alerts:
            self.escalate(RiskState.REDUCING, sentence, now_ms)

    def watch_kill_switch(self, now_ms: int) -> None:
        """Halt if the kill switch file exists."""
        if self._guard.check_kill_switch(now_ms):
            self._notifier.error(f"{self._guard.symbol} is HALTED: {self._guard.reason}")

    def tell(self, sentence: str) -> None:
        """Tell people something of the symbol, at once."""
        self._notifier.error(f"{self._guard.symbol}: {sentence}")

    def note(self, now_ms: int, kind: str, text: str) -> None:
        """Keep something for whoever asks later."""
        logger.warning("%s: %s", self._guard.symbol, text)
        self._journal.note(now_ms, self._guard.symbol, kind, text)
