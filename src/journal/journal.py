"""`Journal`: what a bot knows and is about to do, on disk before it is done.

    intent     what a closed bar led to, committed together with the decision and the books
    sending    with the time; committed before the one request that places the order
    resolved   what became of it, with the exchange's own id; its fills are booked by trade id in the same transaction

A bot that was killed anywhere finds out on the next start what stands where: an intent was never sent, and an order
that was sending is asked for by its client id and never sent again. Fills that arrive for any order are taken into the
books at the next bar, exactly once.

SQLite in WAL mode with synchronous=FULL, so that what was committed survives a power cut; through SQLAlchemy, so that
another database is another URL. Not here: what is asked of the exchange (`ccxt_account.py`), the recovery
(`live/reconcile.py`).
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, create_engine, event, func, insert, inspect, select, update
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from src.errors import ConfigError, TradingHalted
from src.journal.migrations import MIGRATIONS, migrate
from src.journal.schema import (
    BARS,
    EVENTS,
    FILLS,
    META,
    ORDERS,
    RISK,
    SCHEMA,
    SCHEMA_VERSION,
    STEPS,
    JournaledFill,
    JournaledOrder,
    JournaledStep,
)

logger = logging.getLogger(__name__)

CACHE_KIB = 256  # what was written last is what is read; more would grow with every candle for nothing
BUSY_MS = 10_000
STEPS_AT_A_TIME = 100


class Journal:
    """One database; safe to share between threads.

    Args:
        url: SQLAlchemy's, such as `sqlite:///state/journal.db`.

    Raises:
        ConfigError: it cannot be opened or written, is damaged, or has a schema this program does not know.
    """

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()
        try:
            self._engine = create_engine(url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _configure_sqlite)
            with self._engine.begin() as connection:
                self._prepare(connection)
        except (SQLAlchemyError, ArgumentError) as error:
            raise ConfigError(f"the journal {url} cannot be used ({_reason(error)}); {_REMEDY}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def _prepare(self, connection: Connection) -> None:
        self._begin(connection)
        found = _meta(connection, "schema_version") if inspect(connection).has_table(META.name) else None
        if found is None:
            SCHEMA.create_all(connection)
            connection.execute(insert(META).values(key="schema_version", value=str(SCHEMA_VERSION)))
        elif found == str(SCHEMA_VERSION):  # proves that the file may be written
            connection.execute(update(META).where(META.c.key == "schema_version").values(value=found))
        elif found.isdecimal() and int(found) in MIGRATIONS:
            migrate(connection, int(found), SCHEMA_VERSION)
            logger.info(
                "the journal %s was brought from schema version %s to %s", self._engine.url, found, SCHEMA_VERSION
            )
        else:
            raise ConfigError(
                f"the journal {self._engine.url} has schema version {found}, this program keeps version "
                f"{SCHEMA_VERSION}; use the program that wrote it, or another file for a new account"
            )

    def _begin(self, connection: Connection) -> None:
        # One transaction from here on, the making of tables included, which Python's sqlite3 would commit one by one.
        if self._engine.dialect.name == "sqlite":
            verdict = connection.exec_driver_sql("PRAGMA quick_check").scalar_one()
            if verdict != "ok":
                raise ConfigError(f"the journal {self._engine.url} is damaged ({verdict}); {_REMEDY}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with self._lock, self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise TradingHalted(f"the journal cannot be written ({_reason(error)}); {_REMEDY}") from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise TradingHalted(f"the journal cannot be read ({_reason(error)}); {_REMEDY}") from error

    # Facts that hold for the whole journal.

    def pinned(self, key: str) -> str | None:
        """Return what was pinned under a key."""
        with self._reading() as connection:
            return _meta(connection, key)

    def pin(self, key: str, value: str) -> None:
        """Keep a value, in place of an older one."""
        with self._writing() as connection:
            known = _meta(connection, key) is not None
            statement = update(META).where(META.c.key == key) if known else insert(META).values(key=key)
            connection.execute(statement.values(value=value))

    # Bars and steps.

    def add_bars(self, symbol: str, rows: Iterable[Sequence[float]]) -> None:
        """Keep closed bars (open time, open, high, low, close, volume); a bar that is known stays as it was."""
        with self._writing() as connection:
            _insert_bars(connection, symbol, rows)

    def bars(self, symbol: str, until: int, count: int) -> list[tuple[float, ...]]:
        """Return the last `count` bars that open before `until`, in order of time."""
        query = select(*BARS.c[1:]).where(BARS.c.symbol == symbol, BARS.c.open_time < until)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(BARS.c.open_time.desc()).limit(count)).all()
        return [tuple(row) for row in reversed(rows)]

    def record_step(
        self, step: JournaledStep, bar: Sequence[float], order: JournaledOrder | None, booked: Sequence[str]
    ) -> None:
        """Commit a bar, what it led to, the order it asks for and the fills its books took in, all or nothing.

        Raises:
            TradingHalted: it cannot be written, or the bar was recorded before; then nothing may be ordered.
        """
        values = asdict(order) | {"amount": str(order.amount), "price": _text(order.price)} if order else None
        try:
            with self._writing() as connection:
                _insert_bars(connection, step.symbol, [bar])
                connection.execute(insert(STEPS), dict(vars(step)))
                if values is not None:
                    connection.execute(insert(ORDERS), values)
                if booked:
                    taken = (FILLS.c.symbol == step.symbol) & FILLS.c.trade_id.in_(booked)
                    connection.execute(update(FILLS).where(taken).values(booked_at=step.close_time))
        except IntegrityError as error:
            raise TradingHalted(
                f"{step.symbol}: bar {step.close_time} was decided before; is another bot running?"
            ) from error

    def symbols(self) -> list[str]:
        """Return the symbols that have steps."""
        with self._reading() as connection:
            return sorted(connection.execute(select(STEPS.c.symbol).distinct()).scalars())

    def last_step(self, symbol: str, until: int | None = None) -> JournaledStep | None:
        """Return the newest step, or the newest that closed at or before `until`."""
        query = select(STEPS).where(STEPS.c.symbol == symbol)
        query = query if until is None else query.where(STEPS.c.close_time <= until)
        with self._reading() as connection:
            row = connection.execute(query.order_by(STEPS.c.close_time.desc()).limit(1)).first()
        return JournaledStep(**row._mapping) if row is not None else None

    def steps(self, symbol: str, since: int, until: int) -> list[JournaledStep]:
        """Return the steps that closed in (since, until], in order of time."""
        return list(self.each_step(symbol, since, until))

    def each_step(self, symbol: str, since: int, until: int) -> Iterator[JournaledStep]:
        """Yield the same one by one, so that a long history never lies in memory as a whole."""
        query = select(STEPS).where(STEPS.c.symbol == symbol, STEPS.c.close_time > since, STEPS.c.close_time <= until)
        with self._reading() as connection:
            streaming = connection.execution_options(yield_per=STEPS_AT_A_TIME)
            for row in streaming.execute(query.order_by(STEPS.c.close_time)):
                yield JournaledStep(**row._mapping)

    # Orders and fills.

    def unresolved(self, symbol: str) -> list[JournaledOrder]:
        """Return the orders of which it is not known what became of them, oldest first."""
        return self._orders((ORDERS.c.symbol == symbol) & (ORDERS.c.state != "resolved"))

    def order_of(self, symbol: str, close_time: int) -> JournaledOrder | None:
        """Return the order a bar led to."""
        found = self._orders((ORDERS.c.symbol == symbol) & (ORDERS.c.close_time == close_time))
        return found[0] if found else None

    def orders_since(self, time: int) -> int:
        """Return how many orders were decided on at or after a time, over all symbols."""
        with self._reading() as connection:
            return int(connection.execute(select(func.count()).where(ORDERS.c.decided_at >= time)).scalar_one())

    def client_ids(self, symbol: str, exchange_ids: Iterable[str]) -> dict[str, str]:
        """Return the client ids of those orders among these that are ours, by exchange id."""
        query = select(ORDERS.c.exchange_id, ORDERS.c.client_id).where(
            ORDERS.c.symbol == symbol, ORDERS.c.exchange_id.in_(set(exchange_ids))
        )
        with self._reading() as connection:
            return {row.exchange_id: row.client_id for row in connection.execute(query)}

    def add_order(self, order: JournaledOrder) -> None:
        """Commit an order a person asked for."""
        with self._writing() as connection:
            values = asdict(order) | {"amount": str(order.amount), "price": _text(order.price)}
            connection.execute(insert(ORDERS).values(**values))

    def mark_sending(self, client_id: str, sent_at: int) -> None:
        """Commit that the request goes out now."""
        self._update_order(client_id, state="sending", sent_at=sent_at)

    def mark_seen(self, client_id: str, exchange_id: str) -> None:
        """Keep the id under which the exchange knows an order."""
        self._update_order(client_id, exchange_id=exchange_id)

    def resolve(self, client_id: str, outcome: str) -> None:
        """Commit what became of an order."""
        self._update_order(client_id, state="resolved", outcome=outcome)

    def add_fills(self, fills: Sequence[JournaledFill], resolved: str | None = None, outcome: str = "") -> int:
        """Keep trades, each once however often reported, and resolve an order with them; return how many are new."""
        new = 0
        with self._writing() as connection:
            for fill in fills:
                same = (FILLS.c.symbol == fill.symbol) & (FILLS.c.trade_id == fill.trade_id)
                if connection.execute(select(FILLS.c.trade_id).where(same)).first() is None:
                    values = asdict(fill) | {name: str(getattr(fill, name)) for name in ("units", "price", "fee")}
                    connection.execute(insert(FILLS).values(**values))
                    new += 1
            if resolved is not None:
                where = ORDERS.c.client_id == resolved
                connection.execute(update(ORDERS).where(where).values(state="resolved", outcome=outcome))
        return new

    def fills(
        self, symbol: str, client_id: str | None = None, unbooked: bool = False, booked_at: int | None = None
    ) -> list[JournaledFill]:
        """Return fills of a symbol in order of time: all, of one order, not yet in the books, or taken in by a bar."""
        query = select(*FILLS.c[:-1]).where(FILLS.c.symbol == symbol)
        query = query if client_id is None else query.where(FILLS.c.client_id == client_id)
        query = query.where(FILLS.c.booked_at.is_(None)) if unbooked else query
        query = query if booked_at is None else query.where(FILLS.c.booked_at == booked_at)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(FILLS.c.time, FILLS.c.trade_id)).all()
        exact = ("units", "price", "fee")
        return [
            JournaledFill(**{**row._mapping, **{name: Decimal(getattr(row, name)) for name in exact}}) for row in rows
        ]

    def _orders(self, where: Any) -> list[JournaledOrder]:
        with self._reading() as connection:
            rows = connection.execute(select(ORDERS).where(where).order_by(ORDERS.c.decided_at)).all()
        exact = [(Decimal(row.amount), None if row.price is None else Decimal(row.price)) for row in rows]
        return [
            JournaledOrder(**{**row._mapping, "amount": amount, "price": price})
            for row, (amount, price) in zip(rows, exact, strict=True)
        ]

    def _update_order(self, client_id: str, **values: Any) -> None:
        with self._writing() as connection:
            changed = connection.execute(update(ORDERS).where(ORDERS.c.client_id == client_id).values(**values))
            assert changed.rowcount == 1, f"order {client_id} is not in the journal"

    # Risk states and events.

    def risk_state(self, symbol: str) -> tuple[str, str] | None:
        """Return the risk state of a symbol and its reason."""
        with self._reading() as connection:
            row = connection.execute(select(RISK).where(RISK.c.symbol == symbol)).first()
        return (row.state, row.reason) if row is not None else None

    def set_risk_state(self, symbol: str, state: str, reason: str, time: int) -> None:
        """Keep a risk state over restarts."""
        with self._writing() as connection:
            where = RISK.c.symbol == symbol
            known = connection.execute(select(RISK.c.symbol).where(where)).first() is not None
            statement = update(RISK).where(where) if known else insert(RISK).values(symbol=symbol)
            connection.execute(statement.values(state=state, reason=reason, time=time))

    def note(self, time: int, symbol: str, kind: str, text: str) -> None:
        """Keep something a person may ask about: `alert`, `risk`, `model`, `late`, `revised`."""
        with self._writing() as connection:
            connection.execute(insert(EVENTS).values(time=time, symbol=symbol, kind=kind, text=text))

    def events(self, symbol: str, since: int, until: int) -> list[tuple[int, str, str]]:
        """Return (time, kind, text) of a symbol's events in [since, until]."""
        query = select(EVENTS.c.time, EVENTS.c.kind, EVENTS.c.text).where(
            EVENTS.c.symbol == symbol, EVENTS.c.time.between(since, until)
        )
        with self._reading() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(EVENTS.c.id))]


_REMEDY = "check the disk, the folder's rights and the file, or name another with `journal` in the settings"


def _configure_sqlite(connection: Any, _record: Any) -> None:
    durable = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON")
    for setting in (*durable, f"cache_size=-{CACHE_KIB}"):
        connection.execute(f"PRAGMA {setting}")


def _meta(connection: Connection, key: str) -> str | None:
    value: str | None = connection.execute(select(META.c.value).where(META.c.key == key)).scalar_one_or_none()
    return value


def _insert_bars(connection: Connection, symbol: str, rows: Iterable[Sequence[float]]) -> None:
    rows = list(rows)
    if not rows:
        return
    times = [int(row[0]) for row in rows]
    query = select(BARS.c.open_time).where(BARS.c.symbol == symbol, BARS.c.open_time.between(min(times), max(times)))
    known = set(connection.execute(query).scalars())
    names = ("open_time", "open", "high", "low", "close", "volume")
    new = [{"symbol": symbol, **dict(zip(names, row, strict=True))} for row in rows if int(row[0]) not in known]
    if new:
        connection.execute(insert(BARS), new)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]
