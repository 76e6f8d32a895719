"""`Commands`: what people ask of a bot that runs, as rows which the worker of a symbol picks up.

    asked    by the command line or a messenger
    taken    by the worker, which is at it; after a kill it goes on with it
    done     carried out
    failed   not carried out, or not wholly; the result says why

Who asks gives each row a key of its own: a row that is appended twice, because an answer was lost or a program was
killed, is one command. Not here: what a command does (`live/operator`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from src.journal.database import Database
from src.journal.rows import Rows
from src.journal.schema import COMMANDS, EVENTS

OPEN = ("asked", "taken")

_OF_SYMBOL = COMMANDS.c.symbol == bindparam("symbol")
_PENDING = select(COMMANDS).where(_OF_SYMBOL, COMMANDS.c.state.in_(OPEN)).order_by(COMMANDS.c.id)  # asked all the time


@dataclass(frozen=True)
class Command:
    """What was asked for, and what became of it.

    Attributes:
        key: what tells it from every other one.
        verb: `pause`, `resume` or `close`.
        origin: who asked, such as `command line` or `telegram 123`.
        result: what came of it; while it is taken, what keeps it from being done.
    """

    id: int
    key: str
    symbol: str
    verb: str
    origin: str
    created_at: int
    state: str
    taken_at: int | None
    finished_at: int | None
    result: str

    @property
    def is_open(self) -> bool:
        """Whether something may still come of it."""
        return self.state in OPEN


class CommandQueries:
    """What can be asked about commands, however the journal is opened."""

    def __init__(self, database: Rows) -> None:
        self._rows = database.rows

    def pending(self, symbol: str) -> list[Command]:
        """Return what a symbol's worker is to do, oldest first."""
        return [Command(**row._mapping) for row in self._rows(_PENDING, symbol=symbol)]

    def with_keys(self, keys: Sequence[str]) -> list[Command]:
        """Return commands by their keys, oldest first."""
        return self._found(select(COMMANDS).where(COMMANDS.c.key.in_(keys)))

    def _found(self, query: Select[Any]) -> list[Command]:
        rows: Sequence[Row[Any]] = self._rows(query.order_by(COMMANDS.c.id))
        return [Command(**row._mapping) for row in rows]


class Commands(CommandQueries):
    """The table, to read and write. Each method that writes is one transaction."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database

    def append(self, key: str, symbol: str, verb: str, origin: str, now_ms: int) -> bool:
        """Ask for something; return False if it was asked for before under this key."""
        row = {"key": key, "symbol": symbol, "verb": verb, "origin": origin, "created_at": now_ms}
        try:
            with self._database.writing() as connection:
                connection.execute(insert(COMMANDS), row | {"state": "asked", "result": ""})
        except IntegrityError:
            return False
        return True

    def take(self, command: Command, now_ms: int) -> bool:
        """Say that it is being carried out; return False if it was withdrawn meanwhile."""
        return self._change(command.key, OPEN, state="taken", taken_at=command.taken_at or now_ms)

    def report(self, command: Command, result: str) -> None:
        """Keep why a command that was taken is not done yet."""
        self._change(command.key, OPEN, result=result)

    def withdraw(self, key: str, reason: str, now_ms: int) -> bool:
        """Take back what nobody has taken; return False if somebody has."""
        return self._change(key, ("asked",), state="failed", finished_at=now_ms, result=reason)

    def finish(self, command: Command, is_done: bool, result: str, now_ms: int) -> None:
        """Keep what came of it, also among the symbol's events."""
        state, text = "done" if is_done else "failed", f"{command.verb} from {command.origin}: {result}"
        with self._database.writing() as connection:
            where = COMMANDS.c.id == command.id
            connection.execute(update(COMMANDS).where(where).values(state=state, finished_at=now_ms, result=result))
            event = {"time": now_ms, "symbol": command.symbol, "kind": "command", "text": text}
            connection.execute(insert(EVENTS), event)

    def _change(self, key: str, states: Sequence[str], **values: Any) -> bool:
        with self._database.writing() as connection:
            where = (COMMANDS.c.key == key) & COMMANDS.c.state.in_(states)
            return connection.execute(update(COMMANDS).where(where).values(**values)).rowcount == 1
