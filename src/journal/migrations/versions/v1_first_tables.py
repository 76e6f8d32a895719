"""Bars, steps, orders, fills, events and risk states."""

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, Float, Integer, String, Text

from src.journal.migrations.rewriting import no_way_back

revision, down_revision = "1", None


def upgrade() -> None:
    """Make the tables."""
    op.create_table("meta", Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))
    op.create_table(
        "bars",
        Column("symbol", String(32), primary_key=True),
        Column("open_time", BigInteger, primary_key=True),
        *[Column(name, Float, nullable=False) for name in ("open", "high", "low", "close", "volume")],
    )
    op.create_table(
        "steps",
        Column("symbol", String(32), primary_key=True),
        Column("close_time", BigInteger, primary_key=True),
        Column("decided_at", BigInteger, nullable=False),
        Column("status", String(16), nullable=False),
        *[Column(name, JSON, nullable=False) for name in ("record", "state", "saw", "changed")],
        Column("model", String(64), nullable=False),
    )
    _make_orders_and_fills()
    op.create_table(
        "events",
        Column("id", Integer, primary_key=True),
        Column("time", BigInteger, nullable=False, index=True),
        Column("symbol", String(32), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("text", Text, nullable=False),
    )
    op.create_table(
        "risk_states",
        Column("symbol", String(32), primary_key=True),
        Column("state", String(8), nullable=False),
        Column("reason", Text, nullable=False),
        Column("time", BigInteger, nullable=False),
    )


def _make_orders_and_fills() -> None:
    op.create_table(
        "orders",
        Column("client_id", String(18), primary_key=True),
        Column("symbol", String(32), nullable=False, index=True),
        Column("close_time", BigInteger, nullable=False),
        Column("decided_at", BigInteger, nullable=False, index=True),
        Column("side", String(4), nullable=False),
        Column("amount", String(40), nullable=False),
        Column("price", String(40)),
        Column("reference", Float, nullable=False),
        Column("state", String(8), nullable=False, index=True),
        Column("sent_at", BigInteger),
        Column("exchange_id", String(64)),
        Column("outcome", Text),
    )
    op.create_table(
        "fills",
        Column("symbol", String(32), primary_key=True),
        Column("trade_id", String(64), primary_key=True),
        Column("client_id", String(18), nullable=False, index=True),
        Column("time", BigInteger, nullable=False),
        *[Column(name, String(40), nullable=False) for name in ("units", "price", "fee")],
        Column("fee_coin", String(16), nullable=False),
        Column("booked_at", BigInteger, index=True),
    )


def downgrade() -> None:
    """Nothing came before.

    Raises:
        ConfigError: always.
    """
    raise no_way_back(0, "nothing would be left of it")
