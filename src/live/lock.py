"""One bot per account and per journal on a machine: locks that end with the process, however it ends."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from src.errors import ConfigError, RunLocked


@contextmanager
def locked(paths: Sequence[Path], what: str) -> Iterator[None]:
    """Hold the locks of all paths.

    Raises:
        RunLocked: another process holds one.
        ConfigError: a lock file cannot be made.
    """
    with ExitStack() as held:
        for path in paths:
            held.enter_context(_locked(path, what))
        yield


@contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); check state_dir and its rights") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunLocked(f"another process is working on {what} ({path} is locked); stop it first") from error
        yield
    finally:
        os.close(handle)
