"""Beside the journal lie the trials of research and the looks at sealed bars, which are only ever added."""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    column,
    func,
    select,
    table,
)

from src.journal.migrations.rewriting import no_way_back

revision, down_revision = "5", "4"

TABLES = ("trials", "looks")


def upgrade() -> None:
    """Make both tables, which SQLite guards."""
    op.create_table(
        "trials",
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
    op.create_table(
        "looks",
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
    if op.get_bind().dialect.name == "sqlite":
        for name in TABLES:
            for verb in ("update", "delete"):
                refuse = f"BEGIN SELECT RAISE(ABORT, '{name} are only ever added'); END"
                op.execute(f"CREATE TRIGGER {name}_no_{verb} BEFORE {verb} ON {name} {refuse}")


def downgrade() -> None:
    """Drop both tables.

    Raises:
        ConfigError: something was entered, which may not be forgotten.
    """
    for name in TABLES:
        if op.get_bind().execute(select(table(name, column("id"))).limit(1)).first() is not None:
            raise no_way_back(4, f"it had no place for {name}, and some are entered")
        op.drop_table(name)
