"""What a journal knows of a symbol: where it stands (`status`), and one decision from what was seen to what was filled.

Values; `inspection_text.py` writes them down for people.
"""

from dataclasses import dataclass

from src.journal.commands import Command
from src.journal.queries import JournalQueries
from src.journal.schema import JournaledEvent, JournaledFill, JournaledOrder, JournaledStep

RECENT_MS = 86_400_000
MOST_EVENTS = 5


@dataclass(frozen=True)
class SymbolStatus:
    """Where a symbol stands.

    Attributes:
        risk_state, reason: ACTIVE without a reason unless something happened.
        last: newest step.
        waiting: fills that the next bar takes into the books.
        stops: protective stops that rest at the exchange.
        unresolved: orders of which it is not known what became of them.
        asked: commands that are still to be done.
        events: newest ones from about the time of the last step.
    """

    symbol: str
    risk_state: str
    reason: str
    last: JournaledStep
    waiting: tuple[JournaledFill, ...]
    stops: tuple[JournaledOrder, ...]
    unresolved: tuple[JournaledOrder, ...]
    asked: tuple[Command, ...]
    events: tuple[JournaledEvent, ...]


@dataclass(frozen=True)
class DecisionTrace:
    """A step and what came of it: the orders it led to, none or more, and their fills."""

    step: JournaledStep
    orders: tuple[JournaledOrder, ...]
    fills: tuple[JournaledFill, ...]


def status(journal: JournalQueries, symbol: str) -> SymbolStatus | None:
    """Return where a symbol stands; None if no candle was processed yet."""
    last = journal.last_step(symbol)
    if last is None:
        return None
    risk_state, reason = journal.risk_state(symbol) or ("ACTIVE", "")
    return SymbolStatus(
        symbol=symbol,
        risk_state=risk_state,
        reason=reason,
        last=last,
        waiting=tuple(journal.fills(symbol, unbooked=True)),
        stops=tuple(journal.stops(symbol)),
        unresolved=tuple(journal.unresolved(symbol)),
        asked=tuple(journal.commands.pending(symbol)),
        events=tuple(journal.events(symbol, last.close_time - RECENT_MS, last.close_time + RECENT_MS)[-MOST_EVENTS:]),
    )


def decision_at(journal: JournalQueries, symbol: str, time_ms: int) -> DecisionTrace | None:
    """Return the decision in force at a time; None if nothing was decided at or before it."""
    step = journal.last_step(symbol, until=time_ms)
    if step is None:
        return None
    orders = tuple(journal.orders_of(symbol, step.close_time))
    return DecisionTrace(step, orders, tuple(fill for o in orders for fill in journal.fills(symbol, o.client_id)))
