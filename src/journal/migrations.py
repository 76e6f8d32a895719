"""How a journal of an older version becomes one of today's: one function a version, in the order they were needed.

Each works on the tables as they were at its time, which is why it names them itself, and each is final once it was
released: what changes later is another function. All of them run in the one transaction that also writes the new
version, so that a journal is of one version or of another, whenever the power goes.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    column,
    func,
    literal,
    select,
    table,
    text,
    tuple_,
    update,
)

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
    for where, record in _each_step(connection, steps):
        renamed = {"units" if name == "position" else name: value for name, value in record.items()}
        connection.execute(update(steps).where(where).values(record=renamed))


def _name_stations(connection: Connection) -> None:
    # 2 -> 3: what a step's state called `patience` is what one of several stations remembers.
    steps = table("steps", column("symbol"), column("close_time"), column("state", JSON))
    for where, state in _each_step(connection, steps):
        patience = state.pop("patience")
        state["stations"] = {"decision filter": {"followed": patience["target"], "waited": patience["waited"]}}
        connection.execute(update(steps).where(where).values(state=state))


def _name_quantities(connection: Connection) -> None:
    # 3 -> 4: the exact `units` of a fill are its `quantity`.
    connection.execute(text("ALTER TABLE fills RENAME COLUMN units TO quantity"))


def _keep_trials(connection: Connection) -> None:
    # 4 -> 5: beside the journal lie the trials of research and the looks at sealed bars, which are only ever added.
    tables = MetaData()
    Table(
        "trials",
        tables,
        Column("id", Integer, primary_key=True),
        *[Column(name, String(96), nullable=False) for name in ("run", "stage", "name")],
        Column("spec", String(64), nullable=False),
        Column("symbol", String(64), nullable=False, index=True),
        Column("timeframe", String(8), nullable=False),
        Column("data_fingerprint", String(64), nullable=False),
        *[Column(name, BigInteger, nullable=False) for name in ("first_time", "last_time")],
        *[Column(name, JSON, nullable=False) for name in ("folds", "metrics")],
        Column("returns", LargeBinary, nullable=False),
        Column("evaluations", Integer, nullable=False),
        Column("seed", BigInteger, nullable=False),
        Column("settings", String(64), nullable=False),
        Column("created_at", DateTime, nullable=False, server_default=func.now()),
        UniqueConstraint("run", "stage", "name"),
    )
    Table(
        "looks",
        tables,
        Column("id", Integer, primary_key=True),
        Column("candidate", String(96), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("symbol", String(64), index=True),
        *[Column(name, BigInteger) for name in ("first_time", "last_time")],
        Column("fingerprint", String(64), nullable=False, index=True),
        Column("trials", Integer, nullable=False),
        Column("created_at", DateTime, nullable=False, server_default=func.now()),
        UniqueConstraint("candidate", "fingerprint"),
    )
    tables.create_all(connection)
    if connection.dialect.name == "sqlite":
        for name in tables.tables:
            for verb in ("update", "delete"):
                refuse = f"BEGIN SELECT RAISE(ABORT, '{name} are only ever added'); END"
                connection.execute(text(f"CREATE TRIGGER {name}_no_{verb} BEFORE {verb} ON {name} {refuse}"))


def _tell_margin_calls_apart(connection: Connection) -> None:
    # 5 -> 6: what a margin call filled is not the order's fill. What was netted with an order before stays one fill.
    steps = table("steps", column("symbol"), column("close_time"), column("record", JSON))
    for where, record in _each_step(connection, steps):
        called = record["terminated"]
        for name in ("fill_units", "fill_price", "commission", "spread", "slippage"):
            record[f"call_{name.removeprefix('fill_')}"] = record[name] if called else 0.0
        if called:
            record |= {"fill_units": 0.0, "fill_price": 0.0}
        connection.execute(update(steps).where(where).values(record=record))


def _keep_lengths_of_bars(connection: Connection) -> None:
    # 6 -> 7: bars say how long they are: as long as the closest ones, or steps, of their symbol lie apart. A bar alone
    # without steps has no length, and is asked for again.
    prices = [Column(name, Float, nullable=False) for name in ("open", "high", "low", "close", "volume")]
    times = [Column(name, BigInteger, primary_key=True) for name in ("step_ms", "open_time")]
    bars = Table("bars_with_lengths", MetaData(), Column("symbol", String(32), primary_key=True), *times, *prices)
    bars.create(connection)
    names = [each.name for each in bars.c]
    before = table("bars", *[column(name) for name in names if name != "step_ms"])
    for symbol in connection.execute(select(before.c.symbol).distinct()).scalars().all():
        step_ms = _closest(connection, "bars", "open_time", symbol) or _closest(
            connection, "steps", "close_time", symbol
        )
        if step_ms is not None:
            columns = [literal(step_ms) if name == "step_ms" else before.c[name] for name in names]
            connection.execute(bars.insert().from_select(names, select(*columns).where(before.c.symbol == symbol)))
    connection.execute(text("DROP TABLE bars"))
    connection.execute(text("ALTER TABLE bars_with_lengths RENAME TO bars"))


def _closest(connection: Connection, name: str, time: str, symbol: str) -> int | None:
    rows = table(name, column("symbol"), column(time))
    times = connection.execute(select(rows.c[time]).where(rows.c.symbol == symbol).order_by(rows.c[time])).scalars()
    return min((later - earlier for earlier, later in pairwise(times)), default=None)


def _each_step(connection: Connection, steps: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    # Yields which step it is, and its third column.
    # By key, so that what is rewritten meanwhile is neither read twice nor left out.
    key = tuple_(steps.c.symbol, steps.c.close_time)
    page = select(steps).order_by(steps.c.symbol, steps.c.close_time).limit(STEPS_AT_A_TIME)
    rows = connection.execute(page).all()
    while rows:
        for symbol, close_time, value in rows:
            yield (steps.c.symbol == symbol) & (steps.c.close_time == close_time), value
        rows = connection.execute(page.where(key > (rows[-1].symbol, rows[-1].close_time))).all()


MIGRATIONS: dict[int, Callable[[Connection], None]] = {  # by the version they start from
    1: _name_units_held,
    2: _name_stations,
    3: _name_quantities,
    4: _keep_trials,
    5: _tell_margin_calls_apart,
    6: _keep_lengths_of_bars,
}
