"""Moves what a bot looks back on no more, the steps and bars of long ago, from its journal into an archive.

    copy     what the archive lacks; what it has already must be the same
    delete   from the journal, in one transaction

Killed anywhere, nothing is lost, and the next try goes on from there: what lies in both is the same by then.

The archive is a journal of its own, in which a day of that time can be explained and replayed. So it also gets copies
of what the journal keeps: orders and fills, on all of which books and account rest, and the bars before its first step.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Row, Table, delete, func, insert, select, tuple_

from src.errors import ConfigError
from src.journal.database import Database
from src.journal.journal import Journal
from src.journal.schema import BARS, EVENTS, FILLS, ORDERS, STEPS

ROWS_AT_A_TIME = 500
KEPT_BARS = 5_000  # before the first step that stays: what models look back on, and more
KEPT_MS = 2 * 86_400_000  # what a summary of the day, and a person who asks what just happened, look back on
IDENTITY = ("mode", "exchange", "account")


class Moved(NamedTuple):
    """How many steps and bars were moved, of those up to `until`: the time asked for, or an earlier one."""

    steps: int
    bars: int
    until: int


def move_to_archive(journal: Journal, archive: Journal, symbol: str, before: int, window: int, now_ms: int) -> Moved:
    """Move the steps of a symbol that closed at or before a time, and the bars that nothing looks back on any more.

    What a start, the drift watch or an open question may ask for stays, whatever the time. Only while no bot runs.

    Args:
        window: how many steps the drift watch looks back on.
        now_ms: under which the journal notes it.

    Raises:
        ConfigError: the archive is that of another account, or holds other rows of the same time.
        TradingHalted: one of them cannot be read or written.
    """
    _require_same_account(journal, archive)
    until = min(before, _needed_from(journal.database, symbol, window) - 1)
    last = _scalar(journal.database, select(func.max(STEPS.c.close_time)).where(_steps(symbol, until)))
    if last is None:
        return Moved(0, 0, until)
    for table, where in (
        (BARS, (BARS.c.symbol == symbol) & (BARS.c.open_time < last)),
        (STEPS, _steps(symbol, last)),
        (ORDERS, (ORDERS.c.symbol == symbol) & (ORDERS.c.close_time <= last)),
        (FILLS, (FILLS.c.symbol == symbol) & (FILLS.c.booked_at <= last)),
    ):
        _copy(journal.database, archive.database, table, where)
    steps, bars = _delete(journal.database, symbol, last, now_ms)
    return Moved(steps, bars, until)


def _require_same_account(journal: Journal, archive: Journal) -> None:
    for key in IDENTITY:
        ours, theirs = journal.pinned(key), archive.pinned(key)
        if theirs is None and ours is not None:
            archive.pin(key, ours)
        elif ours != theirs:
            raise ConfigError(
                f"the archive {archive.database.engine.url} belongs to {key} '{theirs}', and the journal to '{ours}'; "
                "move the archive elsewhere, and a new one is begun"
            )


def _needed_from(database: Database, symbol: str, window: int) -> int:
    # From which step on all stay; the one before those that are looked back on is among them.
    closes = select(STEPS.c.close_time).where(STEPS.c.symbol == symbol).order_by(STEPS.c.close_time.desc())
    newest = _scalar(database, closes.limit(1)) or 0
    oldest_of_window = _scalar(database, closes.offset(window + 1).limit(1)) or 0
    open_orders = select(func.min(ORDERS.c.close_time)).where(ORDERS.c.symbol == symbol, ORDERS.c.state != "resolved")
    waiting = select(func.min(FILLS.c.time)).where(FILLS.c.symbol == symbol, FILLS.c.booked_at.is_(None))
    questions = (_scalar(database, query) for query in (open_orders, waiting))
    return min(newest - KEPT_MS, oldest_of_window, *(time for time in questions if time is not None))


def _copy(source: Database, target: Database, table: Table, where: Any) -> None:
    for rows in _pages(source, table, where):
        wanted = {_key(table, row): row for row in rows}
        same = tuple_(*table.primary_key).in_(list(wanted))
        known = {_key(table, row): row for row in target.rows(select(table).where(same))}
        if other := next((key for key, row in known.items() if row != wanted[key]), None):
            raise ConfigError(
                f"the archive {target.engine.url} holds another row of {table.name} for {other}; "
                "move the archive elsewhere, and a new one is begun"
            )
        if new := [dict(row._mapping) for key, row in wanted.items() if key not in known]:
            with target.writing() as connection:
                connection.execute(insert(table), new)


def _pages(source: Database, table: Table, where: Any) -> Iterator[list[Row[Any]]]:
    key = tuple_(*table.primary_key)
    page = select(table).where(where).order_by(*table.primary_key).limit(ROWS_AT_A_TIME)
    rows = list(source.rows(page))
    while rows:
        yield rows
        rows = list(source.rows(page.where(key > _key(table, rows[-1]))))


def _key(table: Table, row: Row[Any]) -> tuple[Any, ...]:
    return tuple(row._mapping[column] for column in table.primary_key)


def _delete(database: Database, symbol: str, last: int, now_ms: int) -> tuple[int, int]:
    # The last step stays, from which the day after it is replayed, and with it the bars before.
    older = (BARS.c.symbol == symbol) & (BARS.c.open_time < last)
    first_kept = select(BARS.c.open_time).where(older).order_by(BARS.c.open_time.desc()).offset(KEPT_BARS - 1).limit(1)
    since = _scalar(database, first_kept) or 0
    with database.writing() as connection:
        steps = connection.execute(delete(STEPS).where(_steps(symbol, last - 1))).rowcount
        bars = connection.execute(delete(BARS).where(older, BARS.c.open_time < since)).rowcount
        if steps or bars:
            text = f"{steps} steps and {bars} bars were moved to an archive"
            connection.execute(insert(EVENTS).values(time=now_ms, symbol=symbol, kind="archive", text=text))
    return steps, bars


def _steps(symbol: str, until: int) -> Any:
    return (STEPS.c.symbol == symbol) & (STEPS.c.close_time <= until)


def _scalar(database: Database, query: Any) -> int | None:
    found = database.rows(query)
    return None if not found or found[0][0] is None else int(found[0][0])
