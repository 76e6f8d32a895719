"""Among the orders are protective stops: those that have the price at which the exchange is to send them."""

from alembic import op
from sqlalchemy import Column, String, column, select, table

from src.journal.migrations.rewriting import no_way_back

revision, down_revision = "9", "8"

ORDERS = table("orders", column("symbol"), column("stop_price"))


def upgrade() -> None:
    """Add the price; orders of before have none."""
    op.add_column("orders", Column("stop_price", String(40)))


def downgrade() -> None:
    """Drop it.

    Raises:
        ConfigError: there are stops, which an older program would take for orders of a candle.
    """
    stops = select(ORDERS.c.symbol).where(ORDERS.c.stop_price.is_not(None)).limit(1)
    if (found := op.get_bind().execute(stops).first()) is not None:
        raise no_way_back(8, f"{found.symbol} has had a protective stop")
    op.drop_column("orders", "stop_price")
