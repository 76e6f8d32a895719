"""Files that are written whole or not at all, and locks that end with the process that holds them."""

import errno
import fcntl
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.errors import ConfigError, RunLocked


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Lend a folder beside `folder`; its files move there when all is done, and leave no trace after an error.

    Files of the same names are replaced and others spared.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield draft
        folder.mkdir(exist_ok=True)
        for path in draft.iterdir():
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_atomic(path: Path, data: bytes) -> Path:
    """Write `data` beside `path` and rename it into place; parent folders are made, and nothing is left on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes files only their owner can read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return path


def _sync_folder(folder: Path) -> None:
    # The rename itself survives a power cut only once the folder is on disk.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path`, made if missing; the lock ends with the process.

    Args:
        busy: the sentence of the error where another process holds the lock.

    Raises:
        RunLocked: another process holds it.
        ConfigError: the file cannot be made.
    """
    with _lock_file(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunLocked(busy) from error
        yield


@contextmanager
def locked_on_machine(name: str, busy: str) -> Iterator[None]:
    """Hold a name that one process of a machine may hold, whoever runs it and wherever; it ends with the process.

    On Linux an abstract socket, which is no file. Elsewhere a lock in the folder for temporary files.

    Args:
        busy: the sentence of the error where another process holds the name.

    Raises:
        ConfigError: the machine keeps no such names.
        RunLocked: another process holds it.
    """
    if sys.platform != "linux":
        with locked(Path(tempfile.gettempdir()) / f"{name}.lock", busy):
            yield
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        try:
            end.bind(f"\0{name}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"the lock {name} of this machine cannot be held ({error.strerror})") from error
            raise RunLocked(busy) from error
        yield


@contextmanager
def locked_in_turn(path: Path) -> Iterator[None]:
    """Hold the lock file `path` as `locked` does, but wait for a process that holds it.

    Raises:
        ConfigError: the file cannot be made.
    """
    with _lock_file(path) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Say whether a process holds the lock file `path`, without touching the lock; False where nobody can tell.

    Linux tells which locks are held; a lock held on another machine is not among them.
    """
    try:
        status, held = path.stat(), Path("/proc/locks").read_text()
    except OSError:
        return False
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    return f" {device}:{status.st_ino} " in held


@contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); check the folder and its rights") from error
    try:
        yield handle
    finally:
        os.close(handle)
