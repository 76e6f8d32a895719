"""`ReadOnlyDatabase`: looks into the database of a bot without a trace, whether the bot runs, has ended or was killed.

A SQLite file that is being written has a `-wal` file beside it and is read through the locks its writer and readers
share. To one that rests SQLite would add files of its own, which a bot of another user could not write; so SQLite is
told that nobody writes, and what it answers counts if that still holds afterwards.
"""

import os
import sqlite3
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, NullPool, Row, Select, create_engine, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from src.errors import ConfigError
from src.journal.database import REMEDY, reason_of
from src.journal.schema import META, SCHEMA_VERSION

TRIES = 5  # at a file that a bot opens or closes meanwhile

Rest = tuple[int, int, int]  # differs once a resting file was written


class ReadOnlyDatabase:
    """Makes, writes and holds up nothing. What is asked is answered by what is committed then.

    Args:
        url: SQLAlchemy's, such as `sqlite:///state/journal.db`.

    Raises:
        ConfigError: it is missing, cannot be read, or has the schema of another version.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            parsed = make_url(url)
            self._path = parsed.database or "" if parsed.get_backend_name() == "sqlite" else None
            self._written = create_engine(url) if self._path is None else _read_only(self._path, "readonly_shm=1")
            self._resting = self._written if self._path is None else _read_only(self._path, "immutable=1")
        except (SQLAlchemyError, ArgumentError) as error:
            raise ConfigError(f"the journal {url} cannot be read ({reason_of(error)}); {REMEDY}") from error
        self._require_version()

    def close(self) -> None:
        """Let go of it."""
        self._written.dispose()

    def rows(self, query: Select[Any], **values: Any) -> Sequence[Row[Any]]:
        """Return what a query finds, with values for its named parameters.

        Raises:
            ConfigError: it cannot be read.
        """
        trouble = "a bot opens and closes it all the time"
        for _ in range(TRIES):
            rest = self._rest()
            try:
                with (self._written if rest is None else self._resting).connect() as connection:
                    rows = connection.execute(query, values).all()
                if rest is None or rest == self._rest():
                    return rows
            except SQLAlchemyError as error:
                trouble = reason_of(error)
        raise ConfigError(f"the journal {self._url} cannot be read ({trouble}); {REMEDY}")

    def _rest(self) -> Rest | None:
        # None while there is, or may be, a writer.
        if self._path is None:
            return None
        try:
            status, wal = os.stat(self._path), f"{self._path}-wal"
            is_written = os.path.exists(wal) and os.path.getsize(wal) > 0
        except FileNotFoundError as error:
            raise ConfigError(
                f"there is no journal {self._url}, so it holds no step; a bot makes it when it starts, or name another "
                "with `journal` in the settings"
            ) from error
        except OSError as error:
            raise ConfigError(f"the journal {self._url} cannot be read ({error.strerror}); {REMEDY}") from error
        return None if is_written else (status.st_ino, status.st_size, status.st_mtime_ns)

    def _require_version(self) -> None:
        found = [row.value for row in self.rows(select(META.c.value).where(META.c.key == "schema_version"))]
        if found != [str(SCHEMA_VERSION)]:
            raise ConfigError(
                f"the journal {self._url} has schema version {', '.join(found) or 'none'}, this program reads version "
                f"{SCHEMA_VERSION}; use the program that wrote it, or start the bot to bring an older one up to date"
            )


def _read_only(path: str, how: str) -> Engine:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(path)}?mode=ro&{how}", uri=True)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)
