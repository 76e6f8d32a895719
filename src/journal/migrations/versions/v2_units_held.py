"""What a step's record called `position` are `units`."""

from src.journal.migrations.rewriting import Values, rewrite_steps

revision, down_revision = "2", "1"


def upgrade() -> None:
    """Rename."""
    rewrite_steps("record", lambda record: _renamed(record, "position", "units"))


def downgrade() -> None:
    """Rename back."""
    rewrite_steps("record", lambda record: _renamed(record, "units", "position"))


def _renamed(record: Values, before: str, after: str) -> Values:
    return {after if name == before else name: value for name, value in record.items()}
