"""What revisions share: rewriting the JSON of every step, and saying that there is no way back."""

from collections.abc import Callable, Iterator
from typing import Any

from alembic import op
from sqlalchemy import JSON, Connection, column, select, table, tuple_, update

from src.errors import ConfigError

STEPS_AT_A_TIME = 500

Values = dict[str, Any]


def rewrite_steps(name: str, change: Callable[[Values], Values]) -> None:
    """Put in place of each step's `record` or `state` what `change` makes of it."""
    connection = op.get_bind()
    steps = table("steps", column("symbol"), column("close_time"), column(name, JSON))
    for where, value in _each_step(connection, steps):
        connection.execute(update(steps).where(where).values({name: change(value)}))


def no_way_back(version: int, reason: str) -> ConfigError:
    """Return the error of a database that cannot go back to a version."""
    return ConfigError(f"there is no way back to schema version {version}: {reason}; use a copy of that time")


def _each_step(connection: Connection, steps: Any) -> Iterator[tuple[Any, Values]]:
    # Yields which step it is, and its third column.
    # By key, so that what is rewritten meanwhile is neither read twice nor left out.
    key = tuple_(steps.c.symbol, steps.c.close_time)
    page = select(steps).order_by(steps.c.symbol, steps.c.close_time).limit(STEPS_AT_A_TIME)
    rows = connection.execute(page).all()
    while rows:
        for symbol, close_time, value in rows:
            yield (steps.c.symbol == symbol) & (steps.c.close_time == close_time), value
        rows = connection.execute(page.where(key > (rows[-1].symbol, rows[-1].close_time))).all()
