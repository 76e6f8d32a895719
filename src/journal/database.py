"""`Database`: records that must survive, by URL, opened to be written.

SQLite in WAL mode with synchronous=FULL, so that what was committed survives a power cut; through SQLAlchemy, so that
another database is another URL. Opening makes the tables, or brings those of an older version up to date. Not here:
opening a file without touching it (`read_only.py`), what is asked and told (`queries.py`, `journal.py`).
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, create_engine, event, insert, inspect, select, update
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from src.errors import ConfigError, TraderError, TradingHalted
from src.journal.schema import META, REVISION, SCHEMA, SCHEMA_VERSION

logger = logging.getLogger(__name__)

CACHE_KIB = 256  # what was written last is what is read; more would grow with every candle for nothing
BUSY_MS = 10_000


class Purpose(NamedTuple):
    """What a database is for.

    Attributes:
        name: how sentences call it.
        setting: names another.
        failure: what it is if it fails.
        examined: tables that are examined each time it is opened; none stands for all of the file, which takes as long
            as reading it. All is examined, too, where whoever had it last has not closed it. Elsewhere damage is found
            when it is read.
    """

    name: str
    setting: str
    failure: type[TraderError]
    examined: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """What a person may do about a database that cannot be used."""
        instead = f"or name another with `{self.setting}` in the settings"
        return f"check the disk, the folder's rights and the file, {instead}"


JOURNAL = Purpose("the journal", "journal", TradingHalted)
REMEDY = JOURNAL.remedy


class Database:
    """Safe to share between threads.

    Args:
        url: SQLAlchemy's, such as `sqlite:///state/journal.db`.
        purpose: whose records are kept there.
        is_shared: another process works with it, so it is neither examined nor made nor brought up to date.

    Raises:
        ConfigError: it cannot be opened or written, is damaged, or has a schema this program does not know.
    """

    def __init__(self, url: str, purpose: Purpose = JOURNAL, is_shared: bool = False) -> None:
        self._lock, self._purpose = threading.Lock(), purpose
        try:
            self.engine = create_engine(url)
            self._path = os.path.abspath(self.engine.url.database or "")
            is_left_open = os.path.exists(f"{self._path}-wal")
            if self.engine.dialect.name == "sqlite":
                event.listen(self.engine, "connect", _configure_sqlite)
            with self.engine.begin() as connection:
                if not is_shared:
                    self._examine(connection, purpose.examined if not is_left_open else ())
                    self._begin(connection)
                    self._bring_up_to_date(connection)
            self._file = self._file_now()
        except (SQLAlchemyError, ArgumentError) as error:
            raise ConfigError(f"{purpose.name} {url} cannot be used ({reason_of(error)}); {purpose.remedy}") from error

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    def rows(self, query: Select[Any], **values: Any) -> Sequence[Row[Any]]:
        """Return what a query finds, with values for its named parameters.

        Raises:
            TraderError: it cannot be read, of the class of its purpose: `TradingHalted` for a journal.
        """
        try:
            self._require_file()
            with self.engine.connect() as connection:
                return connection.execute(query, values).all()
        except SQLAlchemyError as error:
            raise self._failure("read", error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a transaction, committed at the end, of which nothing is left after an error.

        Raises:
            IntegrityError: what is written contradicts what is there.
            TraderError: it cannot be written, of the class of its purpose: `TradingHalted` for a journal.
        """
        try:
            self._require_file()
            with self._lock, self.engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise self._failure("written", error) from error

    def bring_back(self, version: int) -> None:
        """Bring an up-to-date database to an older schema version, whole or not at all; nothing else can be done then.

        Raises:
            ConfigError: something it holds has no place in the older version.
            TraderError: it cannot be written.
        """
        from src.journal.migrations.migrate import migrate

        with self.writing() as connection:
            self._begin(connection)
            migrate(connection, SCHEMA_VERSION, version)

    def give_back_room(self) -> None:
        """Give the disk back what deleted rows took; for that time it takes as much again.

        Raises:
            TraderError: there is no room for it; nothing is lost.
        """
        try:
            with self._lock, self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
                if self.engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except SQLAlchemyError as error:
            raise self._failure("made smaller", error) from error

    def _file_now(self) -> tuple[int, int] | None:
        # Which file lies where the database was opened; None where it is none.
        if self.engine.dialect.name != "sqlite" or self.engine.url.database in (None, "", ":memory:"):
            return None
        try:
            status = os.stat(self._path)
        except OSError:
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def _require_file(self) -> None:
        # SQLite goes on writing into a file that nobody finds any more.
        if self._file_now() != self._file:
            gone = f"{self._purpose.name} {self.engine.url} was deleted or replaced while it was in use"
            raise self._purpose.failure(f"{gone}; put it back, or restart")

    def _failure(self, what: str, error: SQLAlchemyError) -> TraderError:
        return self._purpose.failure(
            f"{self._purpose.name} cannot be {what} ({reason_of(error)}); {self._purpose.remedy}"
        )

    def _examine(self, connection: Connection, tables: Sequence[str]) -> None:
        if self.engine.dialect.name != "sqlite":
            return
        known = [name for name in tables if inspect(connection).has_table(name)]
        for part in [f"({name})" for name in known] if tables else [""]:
            verdict = connection.exec_driver_sql(f"PRAGMA quick_check{part}").scalar()
            if verdict != "ok":
                name, remedy = self._purpose.name, self._purpose.remedy
                raise ConfigError(f"{name} {self.engine.url} is damaged ({verdict}); {remedy}")

    def _begin(self, connection: Connection) -> None:
        # One transaction from here on, the making of tables included, which Python's sqlite3 would commit one by one.
        if self.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _bring_up_to_date(self, connection: Connection) -> None:
        version, url = (META.c.key == "schema_version"), self.engine.url
        is_new = not inspect(connection).has_table(META.name)
        found = None if is_new else connection.execute(select(META.c.value).where(version)).scalar_one_or_none()
        if found is None:
            SCHEMA.create_all(connection)
            connection.execute(insert(META).values(key="schema_version", value=str(SCHEMA_VERSION)))
            connection.execute(insert(REVISION).values(version_num=str(SCHEMA_VERSION)))
        elif found == str(SCHEMA_VERSION):  # proves that the file may be written
            connection.execute(update(META).where(version).values(value=found))
        elif found.isdecimal() and 0 < int(found) < SCHEMA_VERSION:
            from src.journal.migrations.migrate import migrate  # Alembic takes longer to load than most commands

            migrate(connection, int(found), SCHEMA_VERSION)
            name = self._purpose.name
            logger.info("%s %s was brought from schema version %s to %s", name, url, found, SCHEMA_VERSION)
        else:
            raise ConfigError(
                f"{self._purpose.name} {url} has schema version {found}, this program keeps version {SCHEMA_VERSION}; "
                "use the program that wrote it, or another file for a new account"
            )


def reason_of(error: Exception) -> str:
    """Return what the database says went wrong, in one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    durable = ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON")
    for setting in (*durable, f"cache_size=-{CACHE_KIB}"):
        connection.execute(f"PRAGMA {setting}")
