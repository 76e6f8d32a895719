"""What a step's state called `patience` is what one of several stations remembers."""

from src.journal.migrations.rewriting import Values, no_way_back, rewrite_steps

revision, down_revision = "3", "2"

FILTER = "decision filter"


def upgrade() -> None:
    """Give what is remembered the station's name."""

    def change(state: Values) -> Values:
        patience = state.pop("patience")
        stations = {FILTER: {"followed": patience["target"], "waited": patience["waited"]}}
        return {**state, "stations": stations}

    rewrite_steps("state", change)


def downgrade() -> None:
    """Keep the one station there was.

    Raises:
        ConfigError: other stations remember something.
    """

    def change(state: Values) -> Values:
        stations = state.pop("stations")
        if set(stations) != {FILTER}:
            raise no_way_back(2, f"it knew the station '{FILTER}' and no other, and a step holds {sorted(stations)}")
        remembered = stations[FILTER]
        return {**state, "patience": {"target": remembered["followed"], "waited": remembered["waited"]}}

    rewrite_steps("state", change)
