"""Files that are written whole or not at all, files of one user alone, and locks that end with who holds them."""

import errno
import fcntl
import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from src.errors import ConfigError, RunLocked

_LARGEST_PRIVATE = 65_536  # bytes; keys and tokens are a few lines


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


def open_at_once(path: Path) -> BinaryIO:
    """Open a file to be read; a pipe in its place is not waited for, and reads as empty or None."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def read_private(path: Path, what: str, remedy: str) -> str:
    """Return the text of a file that only the user who runs this can read; a link is judged by what it leads to.

    Args:
        what: the file is called in messages.
        remedy: what to do where it cannot be read.

    Raises:
        ConfigError: it cannot be read, others may read or write it, it is another user's, or it is no text.
    """
    try:
        with open_at_once(path) as file:
            _require_private(path, what, os.fstat(file.fileno()))
            data = file.read(_LARGEST_PRIVATE + 1)
    except OSError as error:
        raise ConfigError(f"the {what} {path} cannot be read ({error.strerror}); {remedy}") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(data) > _LARGEST_PRIVATE:  # an error that quotes it would show what it holds
        raise ConfigError(f"the {what} {path} is no file of a few lines of text; {remedy}")
    return text


def _require_private(path: Path, what: str, found: os.stat_result) -> None:
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"the {what} {path} is no ordinary file; name one")
    if mode & 0o077:
        raise ConfigError(f"the {what} {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(
            f"the {what} {path} belongs to another user (number {found.st_uid}); run: chown {os.geteuid()} {path}"
        )


def _sync_folder(folder: Path) -> None:
    # The rename itself survives a power cut only once the folder is on disk.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path`, made if missing and removed afterwards; the lock ends with the process.

    Args:
        busy: the sentence of the error where another process holds the lock.

    Raises:
        RunLocked: another process holds it.
        ConfigError: the file cannot be made.
    """
    try:
        handle = _hold(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunLocked(busy) from error
    try:
        yield
    finally:
        _let_go(path, handle)


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
    handle = _hold(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        _let_go(path, handle)


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


def _hold(path: Path, how: int) -> int:
    # A file that whoever held it has removed meanwhile is no lock any more: it is asked for anew.
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, how)
        except OSError:
            os.close(handle)
            raise
        if _is_at(path, handle):
            return handle
        os.close(handle)


def _let_go(path: Path, handle: int) -> None:
    # Removed while it is held. One that cannot be removed locks nobody out.
    with suppress(OSError):
        if _is_at(path, handle):
            path.unlink()
    os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); check the folder and its rights") from error
