"""What a margin call filled is not the order's fill. What was netted with an order before stays one fill."""

from src.journal.migrations.rewriting import Values, no_way_back, rewrite_steps

revision, down_revision = "6", "5"

FILL = ("fill_units", "fill_price", "commission", "spread", "slippage")
NO_FILL = {"fill_units": 0.0, "fill_price": 0.0}


def upgrade() -> None:
    """Let the fills of margin calls stand apart."""
    rewrite_steps("record", _told_apart)


def downgrade() -> None:
    """Let each step have one fill.

    Raises:
        ConfigError: a step has two.
    """
    rewrite_steps("record", _as_one)


def _told_apart(record: Values) -> Values:
    called = record["terminated"]
    for name in FILL:
        record[_call(name)] = record[name] if called else 0.0
    return record | NO_FILL if called else record


def _as_one(record: Values) -> Values:
    call = {name: record.pop(_call(name)) for name in FILL}
    if call["fill_units"] == 0:
        return record
    if record["fill_units"] != 0:
        raise no_way_back(5, f"the step at {record['close_time']} holds the fill of an order and of a margin call")
    return record | call


def _call(name: str) -> str:
    return f"call_{name.removeprefix('fill_')}"
