"""`HaltFile`: the second place of a risk state, for when the journal cannot take it: its disk is full, or it is locked.

Its room is reserved when a bot starts, and it is written in place, which needs no room on the disk. It is empty while
the journal holds what is true. Not covered: a disk that takes nothing at all; then a state lasts as its process does.
"""

import json
import os
from pathlib import Path

from src.errors import ConfigError
from src.market.bars import symbol_id
from src.storage import write_atomic

ROOM_BYTES = 4_096
LONGEST_REASON = 500  # characters, each of which may take six bytes


class HaltFile:
    """One symbol's; `reserve` makes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def reserve(self) -> None:
        """Reserve its room, unless it is there.

        Raises:
            ConfigError: it cannot be made.
        """
        path = self._path
        try:
            if not path.exists():
                write_atomic(path, b" " * ROOM_BYTES)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written ({error.strerror}); check `state_dir` and its rights"
            ) from error

    def read(self) -> tuple[str, str] | None:
        """Return state and reason; None if the journal holds what is true."""
        try:
            text = self._path.read_text().strip()
            if not text:
                return None
            state, reason = json.loads(text)
            return str(state), str(reason)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            return "HALTED", f"{self._path} cannot be read ({type(error).__name__}), so nobody knows the state"

    def write(self, state: str, reason: str) -> None:
        """Keep a state until `clear`.

        Raises:
            OSError: it cannot be written.
        """
        self._overwrite(json.dumps([state, reason[:LONGEST_REASON]]).encode())

    def clear(self) -> None:
        """Say that the journal holds what is true.

        Raises:
            OSError: it cannot be written.
        """
        self._overwrite(b"")

    def _overwrite(self, content: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(handle, content.ljust(ROOM_BYTES), 0)
            os.fsync(handle)
        finally:
            os.close(handle)


def halt_file(folder: Path, symbol: str) -> HaltFile:
    """Return the file of a symbol in a folder."""
    return HaltFile(folder / f"{symbol_id(symbol)}.json")
