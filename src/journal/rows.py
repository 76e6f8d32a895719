"""`Rows`: where queries go, whichever way a database was opened."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Row, Select


class Rows(Protocol):
    """Where queries go."""

    def rows(self, query: Select[Any], **values: Any) -> Sequence[Row[Any]]:
        """Return what a query finds, with values for its named parameters."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
