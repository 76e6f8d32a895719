"""`JournalQueries`: what can be asked of a journal, however it is opened; and `JournalReader`, which only asks.

Not here: what is written (`journal.py`), what answers mean to people (`inspection.py`).
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, select

from src.execution.time_in_force import TimeInForce
from src.journal.commands import CommandQueries
from src.journal.prepared import (
    CLIENT_IDS,
    LAST_STEP,
    ORDERS_OF_BAR,
    ORDERS_SINCE,
    PINNED,
    UNBOOKED_FILLS,
    UNRESOLVED_ORDERS,
)
from src.journal.read_only import ReadOnlyDatabase
from src.journal.rows import Rows
from src.journal.schema import (
    BARS,
    EVENTS,
    FILLS,
    ORDERS,
    RISK,
    STEPS,
    JournaledEvent,
    JournaledFill,
    JournaledOrder,
    JournaledStep,
)
from src.market.bars import COLUMNS, Bar

STEPS_AT_A_TIME = 100


class JournalQueries:
    """Answers from one database.

    Args:
        database: opened.
    """

    def __init__(self, database: Rows) -> None:
        self._rows, self.close = database.rows, database.close
        self.commands = CommandQueries(database)

    def pinned(self, key: str) -> str | None:
        """Return what was pinned under a key."""
        found = self._rows(PINNED, key=key)
        return str(found[0].value) if found else None

    # Bars and steps.

    def bars(self, symbol: str, until: int, count: int, step_ms: int) -> list[Bar]:
        """Return the last `count` bars that open before `until`, each `step_ms` long, in order of time."""
        where = (BARS.c.symbol == symbol) & (BARS.c.step_ms == step_ms) & (BARS.c.open_time < until)
        query = select(*[BARS.c[name] for name in COLUMNS]).where(where)
        rows = self._rows(query.order_by(BARS.c.open_time.desc()).limit(count))
        return [Bar(row[0], row[0] + step_ms, *row[1:]) for row in reversed(rows)]

    def symbols(self) -> list[str]:
        """Return the symbols that have steps."""
        return sorted(row.symbol for row in self._rows(select(STEPS.c.symbol).distinct()))

    def last_step(self, symbol: str, until: int | None = None) -> JournaledStep | None:
        """Return the newest step, or the newest that closed at or before `until`."""
        query = LAST_STEP if until is None else LAST_STEP.where(STEPS.c.close_time <= until)
        found = self._rows(query, symbol=symbol)
        return JournaledStep(**found[0]._mapping) if found else None

    def steps(self, symbol: str, since: int, until: int) -> list[JournaledStep]:
        """Return the steps that closed in (since, until], in order of time."""
        return list(self.each_step(symbol, since, until))

    def each_step(self, symbol: str, since: int, until: int) -> Iterator[JournaledStep]:
        """Yield the same one by one, so that a long history never lies in memory as a whole."""
        query = select(STEPS).where(STEPS.c.symbol == symbol, STEPS.c.close_time <= until)
        query = query.order_by(STEPS.c.close_time).limit(STEPS_AT_A_TIME)
        while rows := self._rows(query.where(STEPS.c.close_time > since)):
            yield from (JournaledStep(**row._mapping) for row in rows)
            since = rows[-1].close_time

    # Orders and fills.

    def unresolved(self, symbol: str) -> list[JournaledOrder]:
        """Return the orders of which it is not known what became of them, oldest first; a stop that rests is none."""
        return _as_orders(self._rows(UNRESOLVED_ORDERS, symbol=symbol))

    def order(self, client_id: str) -> JournaledOrder:
        """Return an order that is in the journal."""
        return self._orders(ORDERS.c.client_id == client_id)[0]

    def order_of(self, symbol: str, close_time: int) -> JournaledOrder | None:
        """Return the order a bar asked for."""
        return next(iter(self.orders_of(symbol, close_time)), None)

    def orders_of(self, symbol: str, close_time: int) -> list[JournaledOrder]:
        """Return the orders a bar led to: the one it asked for, and those that went on trading what was left of it."""
        rows = self._rows(ORDERS_OF_BAR, symbol=symbol, close_time=close_time)
        return sorted(_as_orders(rows), key=lambda order: order.part)

    def stops_among(self, symbol: str, client_ids: Iterable[str]) -> list[JournaledOrder]:
        """Return the protective stops among orders with these ids, whatever became of them."""
        where = (ORDERS.c.symbol == symbol) & ORDERS.c.stop_price.is_not(None)
        return self._orders(where & ORDERS.c.client_id.in_(set(client_ids)))

    def stops(self, symbol: str, close_time: int | None = None) -> list[JournaledOrder]:
        """Return the protective stops that rest at the exchange, or those a bar led to, oldest first."""
        where = (ORDERS.c.symbol == symbol) & ORDERS.c.stop_price.is_not(None)
        which = ORDERS.c.state == "resting" if close_time is None else ORDERS.c.close_time == close_time
        return self._orders(where & which)

    def orders_since(self, time: int) -> int:
        """Return how many orders bars that closed at or after a time asked for, over all symbols."""
        return int(self._rows(ORDERS_SINCE, time=time)[0][0])

    def client_ids(self, symbol: str, exchange_ids: Iterable[str]) -> dict[str, str]:
        """Return the client ids of those orders among these that are ours, by exchange id."""
        if not (asked := list(set(exchange_ids))):
            return {}
        return {row.exchange_id: row.client_id for row in self._rows(CLIENT_IDS, symbol=symbol, exchange_ids=asked)}

    def fills(
        self, symbol: str, client_id: str | None = None, unbooked: bool = False, booked_at: int | None = None
    ) -> list[JournaledFill]:
        """Return fills of a symbol in order of time: all, of one order, not yet in the books, or taken in by a bar."""
        if unbooked:
            return _as_fills(self._rows(UNBOOKED_FILLS, symbol=symbol))
        query = select(*FILLS.c[:-1]).where(FILLS.c.symbol == symbol)
        query = query if client_id is None else query.where(FILLS.c.client_id == client_id)
        query = query if booked_at is None else query.where(FILLS.c.booked_at == booked_at)
        return _as_fills(self._rows(query.order_by(FILLS.c.time, FILLS.c.trade_id)))

    def _orders(self, where: Any) -> list[JournaledOrder]:
        return _as_orders(self._rows(select(ORDERS).where(where).order_by(ORDERS.c.decided_at)))

    # Risk states and events.

    def risk_state(self, symbol: str) -> tuple[str, str] | None:
        """Return the risk state of a symbol and its reason."""
        found = self._rows(select(RISK).where(RISK.c.symbol == symbol))
        return (found[0].state, found[0].reason) if found else None

    def events(self, symbol: str, since: int, until: int) -> list[JournaledEvent]:
        """Return a symbol's events in [since, until], in the order they were noted."""
        query = select(EVENTS.c.time, EVENTS.c.kind, EVENTS.c.text).where(
            EVENTS.c.symbol == symbol, EVENTS.c.time.between(since, until)
        )
        return [JournaledEvent(row.time, row.kind, row.text) for row in self._rows(query.order_by(EVENTS.c.id))]


def _as_orders(rows: Iterable[Row[Any]]) -> list[JournaledOrder]:
    return [
        JournaledOrder(**{**row._mapping, **_exact(row), "time_in_force": TimeInForce(row.time_in_force)})
        for row in rows
    ]


def _as_fills(rows: Iterable[Row[Any]]) -> list[JournaledFill]:
    exact = ("quantity", "price", "fee")
    return [JournaledFill(**{**row._mapping, **{name: Decimal(getattr(row, name)) for name in exact}}) for row in rows]


def _exact(row: Row[Any]) -> dict[str, Decimal | None]:
    texts = {name: getattr(row, name) for name in ("amount", "price", "stop_price")}
    return {name: None if text is None else Decimal(text) for name, text in texts.items()}


class JournalReader(JournalQueries):
    """A journal that is only looked at, beside a running bot or in a place that cannot be written.

    Args:
        url: SQLAlchemy's, such as `sqlite:///state/journal.db`.

    Raises:
        ConfigError: it is missing, cannot be read, or has the schema of another version.
    """

    def __init__(self, url: str) -> None:
        super().__init__(ReadOnlyDatabase(url))
