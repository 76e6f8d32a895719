"""How a journal of an older version becomes one of today's: one function a version, in the order they were needed.

Each works on the tables as they were at its time, which is why it names them itself, and each is final once it was
released: what changes later is another function. All of them run in the one transaction that also writes the new
version, so that a journal is of one version or of another, whenever the power goes.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import JSON, Connection, column, select, table, tuple_, update

STEPS_AT_A_TIME = 500

_META = table("meta", column("key"), column("value"))


def migrate(connection: Connection, found: int, wanted: int) -> None:
    """Bring a journal from version `found` to version `wanted`, within the caller's transaction."""
    for version in range(found, wanted):
        MIGRATIONS[version](connection)
    connection.execute(update(_META).where(_META.c.key == "schema_version").values(value=str(wanted)))


def _name_units_held(connection: Connection) -> None:
    # 1 -> 2: what a step's record called `position` are `units`.
    steps = table("steps", column("symbol"), column("close_time"), column("record", JSON))
    for symbol, close_time, record in _each_record(connection, steps):
        renamed = {"units" if name == "position" else name: value for name, value in record.items()}
        where = (steps.c.symbol == symbol) & (steps.c.close_time == close_time)
        connection.execute(update(steps).where(where).values(record=renamed))


def _each_record(connection: Connection, steps: Any) -> Iterator[tuple[str, int, dict[str, Any]]]:
    # By key, so that what is rewritten meanwhile is neither read twice nor left out.
    key = tuple_(steps.c.symbol, steps.c.close_time)
    page = select(steps).order_by(steps.c.symbol, steps.c.close_time).limit(STEPS_AT_A_TIME)
    rows = connection.execute(page).all()
    while rows:
        yield from (tuple(row) for row in rows)
        rows = connection.execute(page.where(key > (rows[-1].symbol, rows[-1].close_time))).all()


MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _name_units_held}  # by the version they start from
