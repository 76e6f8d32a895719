"""`carry_out`: one thing a person asked for, done the same way whoever asked: a bot that runs, or its command line."""

from collections.abc import Callable
from typing import NamedTuple

from src.brokerage.broker_account import BrokerAccount
from src.config.live import LiveConfig
from src.journal.journal import Journal
from src.live.live_guard import LiveGuard
from src.live.operator.by_hand import close_at_exchange, close_on_paper, pause, resume

VERBS = ("pause", "resume", "close")


class Desk(NamedTuple):
    """One symbol's: its guard, what its orders go through, and a clock.

    Attributes:
        account: None on paper.
        now_ms: tells the exchange's time, as far as it is known.
    """

    guard: LiveGuard
    journal: Journal
    config: LiveConfig
    account: BrokerAccount | None
    now_ms: Callable[[], int]


class Outcome(NamedTuple):
    """What came of it, in one sentence or more.

    Attributes:
        is_well: nobody has to look any further.
        is_settled: False while it is worth while to do it again at once.
    """

    text: str
    is_well: bool = True
    is_settled: bool = True


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
    if desk.account is None:
        return Outcome(close_on_paper(guard, journal, desk.now_ms()))
    closing = close_at_exchange(desk.account, guard, journal, desk.config, desk.now_ms)
    return Outcome(str(closing), closing.is_well, closing.is_settled)
