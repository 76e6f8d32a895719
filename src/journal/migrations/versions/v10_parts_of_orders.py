"""Orders say which part of a decision they trade, and how long they stand. Those of before were whole, and lapsed."""

import sqlalchemy as sa
from alembic import op

from src.journal.migrations.rewriting import no_way_back

revision, down_revision = "10", "9"


def upgrade() -> None:
    """Add both."""
    op.add_column("orders", sa.Column("part", sa.Integer, nullable=False, server_default="0"))
    op.add_column("orders", sa.Column("time_in_force", sa.String(3), nullable=False, server_default="IOC"))


def downgrade() -> None:
    """Forget both.

    Raises:
        ConfigError: an order is a part, or rested.
    """
    orders = sa.table("orders", sa.column("client_id"), sa.column("part"), sa.column("time_in_force"))
    others = sa.or_(orders.c.part > 0, orders.c.time_in_force != "IOC")
    if (client_id := op.get_bind().execute(sa.select(orders.c.client_id).where(others).limit(1)).scalar()) is not None:
        raise no_way_back(9, f"a decision led to one order that lapsed at once, and {client_id} is another")
    op.drop_column("orders", "part")
    op.drop_column("orders", "time_in_force")
