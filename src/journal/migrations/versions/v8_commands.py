"""What people ask of a bot that runs are rows of a table, and a bot may be PAUSED by them."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, String, Text, column, select, table, update

from src.journal.migrations.rewriting import no_way_back

revision, down_revision = "8", "7"

RISK = table("risk_states", column("state"))
COMMANDS = table("commands", column("symbol"), column("verb"), column("state"))


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "commands",
        Column("id", Integer, primary_key=True),
        Column("key", String(64), nullable=False, unique=True),
        Column("symbol", String(32), nullable=False, index=True),
        Column("verb", String(8), nullable=False),
        Column("origin", String(64), nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("state", String(8), nullable=False, index=True),
        *[Column(name, BigInteger) for name in ("taken_at", "finished_at")],
        Column("result", Text, nullable=False),
    )


def downgrade() -> None:
    """Drop it; what was carried out stands among the events, too. PAUSED lets through what REDUCING does.

    Raises:
        ConfigError: something that was asked for is still to be done.
    """
    connection = op.get_bind()
    open_ones = select(COMMANDS.c.verb, COMMANDS.c.symbol).where(COMMANDS.c.state.in_(("asked", "taken")))
    if (found := connection.execute(open_ones.limit(1)).first()) is not None:
        raise no_way_back(7, f"`{found.verb}` of {found.symbol} is still to be done")
    connection.execute(update(RISK).where(RISK.c.state == "PAUSED").values(state="REDUCING"))
    op.drop_table("commands")
