"""The exact `units` of a fill are its `quantity`."""

from alembic import op

revision, down_revision = "4", "3"


def upgrade() -> None:
    """Rename."""
    op.execute("ALTER TABLE fills RENAME COLUMN units TO quantity")


def downgrade() -> None:
    """Rename back."""
    op.execute("ALTER TABLE fills RENAME COLUMN quantity TO units")
