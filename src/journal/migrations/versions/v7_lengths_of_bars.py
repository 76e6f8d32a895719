"""Bars say how long they are: as long as the closest ones, or steps, of their symbol lie apart.

A bar alone, without steps, has no length, and is asked for again.
"""

from itertools import pairwise
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Connection, Float, String, column, distinct, func, literal, select, table

from src.journal.migrations.rewriting import no_way_back

revision, down_revision = "7", "6"

PRICES = ("open", "high", "low", "close", "volume")
NAMES = ["symbol", "open_time", *PRICES]


def upgrade() -> None:
    """Give each bar its length."""
    connection, before = op.get_bind(), _bars()
    after = op.create_table("bars_with_lengths", *_columns("step_ms", "open_time"))
    for symbol in connection.execute(select(before.c.symbol).distinct()).scalars().all():
        step_ms = _closest(connection, "bars", "open_time", symbol)
        step_ms = step_ms or _closest(connection, "steps", "close_time", symbol)
        if step_ms is not None:
            rows = select(*[before.c[name] for name in NAMES], literal(step_ms)).where(before.c.symbol == symbol)
            connection.execute(after.insert().from_select([*NAMES, "step_ms"], rows))
    op.drop_table("bars")
    op.rename_table("bars_with_lengths", "bars")


def downgrade() -> None:
    """Forget the lengths.

    Raises:
        ConfigError: a symbol has bars of several.
    """
    connection, before = op.get_bind(), _bars()
    lengths = select(before.c.symbol).group_by(before.c.symbol).having(func.count(distinct(before.c.step_ms)) > 1)
    if (symbol := connection.execute(lengths.limit(1)).scalar()) is not None:
        raise no_way_back(6, f"its bars were all of one length, and those of {symbol} are not")
    after = op.create_table("bars_without_lengths", *_columns("open_time"))
    connection.execute(after.insert().from_select(NAMES, select(*[before.c[name] for name in NAMES])))
    op.drop_table("bars")
    op.rename_table("bars_without_lengths", "bars")


def _bars() -> Any:
    return table("bars", *[column(name) for name in (*NAMES, "step_ms")])


def _columns(*times: str) -> list[Column[Any]]:
    return [
        Column("symbol", String(32), primary_key=True),
        *[Column(name, BigInteger, primary_key=True) for name in times],
        *[Column(name, Float, nullable=False) for name in PRICES],
    ]


def _closest(connection: Connection, name: str, time: str, symbol: str) -> int | None:
    rows = table(name, column("symbol"), column(time))
    times = connection.execute(select(rows.c[time]).where(rows.c.symbol == symbol).order_by(rows.c[time])).scalars()
    return min((later - earlier for earlier, later in pairwise(times)), default=None)
