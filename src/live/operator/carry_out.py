"""`carry_out`: one thing a person asked for, done the same way whoever asked: a bot that runs, or its command line."""

from typing import NamedTuple

from src.brokerage.broker_account import BrokerAccount
from src.brokerage.clock import Clock
from src.config.live import LiveConfig
from src.journal.journal import Journal
from src.live.live_guard import LiveGuard
from src.live.operator.by_hand import close_at_exchange, close_on_paper, halt_to_close, pause, resume

VERBS = ("pause", "resume", "close")


class Desk(NamedTuple):
    """One symbol's: its guard, what its orders go through, and a clock.

    Attributes:
        account: None on paper.
        offset_ms: how far the exchange's time is ahead of the clock, as far as it is known.
    """

    guard: LiveGuard
    journal: Journal
    config: LiveConfig
    account: BrokerAccount | None
    clock: Clock
    offset_ms: int

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self.clock.now_ms() + self.offset_ms


class Outcome(NamedTuple):
    """What came of it, in one sentence or more.

    Attributes:
        is_well: nobody has to look any further.
        is_final: False while trying again may help.
    """

    text: str
    is_well: bool = True
    is_final: bool = True


def carry_out(verb: str, desk: Desk) -> Outcome:
    """Do one of `VERBS`.

    Raises:
        TransientError: the account cannot be read; the symbol is HALTED then, and nothing was sent.
        TradingHalted: the exchange does not accept the key, or the journal cannot be written.
    """
    guard, journal = desk.guard, desk.journal
    if verb == "pause":
        return Outcome(pause(guard, desk.now_ms()))
    if verb == "resume":
        if guard.is_switched_off():
            switch = guard.limits.kill_switch_file
            return Outcome(
                f"{guard.symbol}: stays {guard.state.name}; delete the kill switch file {switch} first", False
            )
        return Outcome(resume(guard, journal, desk.now_ms()))
    return _closed(desk)


def _closed(desk: Desk) -> Outcome:
    guard, journal, account = desk.guard, desk.journal, desk.account
    if account is None:
        return Outcome(close_on_paper(guard, desk.now_ms()))
    halt_to_close(guard, desk.now_ms())  # also where the account cannot be asked for its time
    now = desk._replace(offset_ms=account.sync_clock()).now_ms
    closing = close_at_exchange(account, guard, journal, desk.config, now)
    return Outcome(str(closing), closing.is_well, closing.is_final)
