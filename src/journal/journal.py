"""`Journal`: what a bot knows and is about to do, on disk before it is done.

    intent     what a closed bar led to, committed together with the decision and the books
    sending    with the time; committed before the one request that places the order
    resting    a protective stop stands at the exchange
    resolved   what became of it, with the exchange's own id; its fills are booked by trade id in the same transaction

A bot that was killed anywhere finds out on the next start what stands where: an intent was never sent, and an order
that was sending is asked for by its client id and never sent again. Fills that arrive for any order are taken into the
books at the next bar, exactly once.

Not here: how it lies on disk (`database.py`), what is asked of it (`queries.py`), what is asked of the exchange
(`brokerage`), the recovery (`live/venues/reconcile.py`).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from src.errors import TradingHalted
from src.execution.order_filters import OrderShape
from src.journal.commands import Commands
from src.journal.database import Database
from src.journal.prepared import (
    ADD_BARS,
    ADD_FILLS,
    ADD_ORDER,
    ADD_PIN,
    ADD_STEP,
    BOOK_FILLS,
    KNOWN_BARS,
    KNOWN_FILLS,
    PINNED,
    UPDATE_ORDER,
    UPDATE_PIN,
    UPDATE_STEP,
)
from src.journal.queries import JournalQueries
from src.journal.schema import (
    EVENTS,
    RISK,
    JournaledFill,
    JournaledOrder,
    JournaledStep,
)
from src.market.bars import COLUMNS, Bar


class Journal(JournalQueries):
    """One database to read and write; safe to share between threads. Every method that writes is one transaction.

    Args:
        url: SQLAlchemy's, such as `sqlite:///state/journal.db`.
        is_shared: a bot works with it, whose it remains; for asking it something.

    Raises:
        ConfigError: it cannot be opened or written, is damaged, or has a schema this program does not know.
    """

    commands: Commands

    def __init__(self, url: str, is_shared: bool = False) -> None:
        self.database = Database(url, is_shared=is_shared)
        super().__init__(self.database)
        self.commands = Commands(self.database)

    def pin(self, key: str, value: str) -> None:
        """Keep a value, in place of an older one."""
        with self.database.writing() as connection:
            if connection.execute(PINNED, {"key": key}).first() is None:
                connection.execute(ADD_PIN, {"key": key, "value": value})
            else:
                connection.execute(UPDATE_PIN, {"of": key, "value": value})

    # Bars and steps.

    def add_bars(self, symbol: str, bars: Sequence[Bar]) -> None:
        """Keep closed bars of one length; one that is known stays as it was."""
        with self.database.writing() as connection:
            _insert_bars(connection, symbol, bars)

    def record_step(self, step: JournaledStep, bar: Bar, order: JournaledOrder | None, booked: Sequence[str]) -> None:
        """Commit a bar, what it led to, the order it asks for and the fills its books took in, all or nothing.

        Raises:
            TradingHalted: it cannot be written, or the bar was recorded before; then nothing may be ordered.
        """
        try:
            with self.database.writing() as connection:
                _insert_bars(connection, step.symbol, [bar])
                connection.execute(ADD_STEP, dict(vars(step)))
                if order is not None:
                    connection.execute(ADD_ORDER, _values(order))
                if booked:
                    taken = {"of": step.symbol, "trade_ids": list(booked), "at": step.close_time}
                    connection.execute(BOOK_FILLS, taken)
        except IntegrityError as error:
            raise TradingHalted(
                f"{step.symbol}: bar {step.close_time} was decided before; is another bot running?"
            ) from error

    def explain_step(self, step: JournaledStep) -> None:
        """Keep what a step saw, in place of what it was recorded with."""
        with self.database.writing() as connection:
            connection.execute(UPDATE_STEP, {"of": step.symbol, "at": step.close_time, "saw": step.saw})

    # Orders and fills.

    def add_order(self, order: JournaledOrder) -> None:
        """Commit an order beside the one its bar asked for: a person's, or one that trades what was left."""
        with self.database.writing() as connection:
            connection.execute(ADD_ORDER, _values(order))

    def mark_sending(self, client_id: str, sent_at: int, shape: OrderShape | None = None) -> None:
        """Commit that the request goes out now, in another shape than it was planned in if there is one."""
        planned: dict[str, Any] = {}
        if shape is not None:
            price = None if shape.price is None else str(shape.price)
            planned = {"price": price, "time_in_force": shape.time_in_force}
        self._update_order(client_id, state="sending", sent_at=sent_at, **planned)

    def mark_seen(self, client_id: str, exchange_id: str) -> None:
        """Keep the id under which the exchange knows an order."""
        self._update_order(client_id, exchange_id=exchange_id)

    def mark_resting(self, client_id: str) -> None:
        """Keep that a stop stands at the exchange."""
        self._update_order(client_id, state="resting")

    def resolve(self, client_id: str, outcome: str) -> None:
        """Commit what became of an order."""
        self._update_order(client_id, state="resolved", outcome=outcome)

    def _update_order(self, client_id: str, **values: Any) -> None:
        with self.database.writing() as connection:
            changed = connection.execute(UPDATE_ORDER, {"id": client_id, **values})
            assert changed.rowcount == 1, f"order {client_id} is not in the journal"

    def add_fills(self, fills: Sequence[JournaledFill], resolved: str | None = None, outcome: str = "") -> int:
        """Keep trades, each once however often reported, and resolve an order with them; return how many are new."""
        if not fills and resolved is None:
            return 0
        with self.database.writing() as connection:
            new = [row for symbol in {fill.symbol for fill in fills} for row in _unknown(connection, symbol, fills)]
            if new:
                connection.execute(ADD_FILLS, new)
            if resolved is not None:
                connection.execute(UPDATE_ORDER, {"id": resolved, "state": "resolved", "outcome": outcome})
        return len(new)

    # Risk states and events.

    def set_risk_state(self, symbol: str, state: str, reason: str, time: int) -> None:
        """Keep a risk state over restarts."""
        with self.database.writing() as connection:
            where = RISK.c.symbol == symbol
            known = connection.execute(select(RISK.c.symbol).where(where)).first() is not None
            statement = update(RISK).where(where) if known else insert(RISK).values(symbol=symbol)
            connection.execute(statement.values(state=state, reason=reason, time=time))

    def note(self, time: int, symbol: str, kind: str, text: str) -> None:
        """Keep something a person may ask about: `alert`, `risk`, `model`, `late`, `revised`, `stop`."""
        with self.database.writing() as connection:
            connection.execute(insert(EVENTS).values(time=time, symbol=symbol, kind=kind, text=text))


def _insert_bars(connection: Connection, symbol: str, bars: Sequence[Bar]) -> None:
    if not bars:
        return
    times, step_ms = [bar.open_time for bar in bars], bars[0].close_time - bars[0].open_time
    of = {"symbol": symbol, "step_ms": step_ms}
    known = set(connection.execute(KNOWN_BARS, of | {"first": min(times), "last": max(times)}).scalars())
    unknown = (bar for bar in bars if bar.open_time not in known)
    if new := [of | {name: getattr(bar, name) for name in COLUMNS} for bar in unknown]:
        connection.execute(ADD_BARS, new)


def _unknown(connection: Connection, symbol: str, fills: Sequence[JournaledFill]) -> list[dict[str, Any]]:
    # Rows of a symbol's fills that are not in the journal yet, each once.
    found = {fill.trade_id: fill for fill in reversed(fills) if fill.symbol == symbol}  # as reported first
    known = set(connection.execute(KNOWN_FILLS, {"symbol": symbol, "trade_ids": list(found)}).scalars())
    exact = ("quantity", "price", "fee")
    return [
        dict(vars(fill)) | {name: str(getattr(fill, name)) for name in exact}
        for trade_id, fill in found.items()
        if trade_id not in known
    ]


def _values(order: JournaledOrder) -> dict[str, Any]:
    exact = {name: getattr(order, name) for name in ("amount", "price", "stop_price")}
    return dict(vars(order)) | {name: None if value is None else str(value) for name, value in exact.items()}
