"""What a disk holds after a power cut, from what a process asked of it, as strace saw it.

    disk = Disk(folder)
    for event in events(log): disk.see(event)
    disk.lose_power(into)          # the files as they are found afterwards

What was written and not synced is lost. A file is found under its name only if its folder, or a later sync of the same
folder, was synced after it was made. `lose_power` can also let some of the lost sectors survive, as disks do.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import PATIENCE_S

CALLS = ("openat", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "sendto")
SECTOR = 512

# With -y and -xx, a call reads `pwrite64(4<\x2f\x74...>, "\x00..."..., 4096, 0) = 4096`, descriptors with their paths.
_LINE = re.compile(rb"^(?P<call>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)(?:<(?P<path>[^>]*)>)?")
_DESCRIPTOR = re.compile(rb"^\d+<(?P<path>[^>]*)>")
_TEXT = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True)
class Event:
    """One system call that succeeded."""

    call: str
    path: str
    data: bytes = b""
    offset: int = 0


def trace(script: str, arguments: list[str], log: Path, folder: Path) -> str:
    """Run a Python script, its first thread watched from where it reads a line; return what it complained of."""
    command = [sys.executable, "-c", script, *arguments]
    strace = ["strace", "-y", "-xx", "-s", "1000000", "-e", f"trace={','.join(CALLS)}", "-o", str(log)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, text=True, **pipes) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            return process.communicate()[1]
        watch = [*strace, "-p", str(process.pid)]
        with subprocess.Popen(watch, stderr=subprocess.PIPE, text=True) as watcher:
            assert watcher.stderr is not None
            attached = watcher.stderr.readline()
            complaints = process.communicate("\n", timeout=PATIENCE_S)[1]
            watcher.wait(PATIENCE_S)
    return complaints if process.returncode else "" if "attached" in attached else attached


def events(log: Path) -> Iterator[Event]:
    """Yield what succeeded, in order."""
    with log.open("rb") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is not None and not found["result"].startswith(b"-"):
                yield _event(found["call"].decode(), found["arguments"], found["path"])


def _event(call: str, arguments: bytes, opened: bytes | None) -> Event:
    descriptor = _DESCRIPTOR.match(arguments)
    texts = [_bytes(text) for text in _TEXT.findall(arguments)]
    if call == "openat":
        return Event(call, _bytes(opened or b"").decode(), offset=int(b"O_CREAT" in arguments))
    if call == "unlink":
        return Event(call, texts[0].decode())
    path = _bytes(descriptor["path"]).decode() if descriptor else ""
    offset = int(arguments.rsplit(b", ", 1)[1]) if call in ("ftruncate", "pwrite64") else 0
    return Event(call, path, texts[0] if texts else b"", offset)


def _bytes(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(b"\\x", b"").decode())


class Disk:
    """The files of one folder: as the process sees them, and as they would be found.

    Args:
        folder: everything outside is not looked at.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._seen: dict[str, bytearray] = {}
        self._synced: dict[str, bytes] = {}
        self._named: set[str] = set()
        self._pending: dict[str, list[tuple[int, bytes]]] = {}

    def see(self, event: Event) -> None:
        """Take one system call in."""
        is_folder = event.path == self._folder
        if is_folder and event.call in ("fsync", "fdatasync"):
            self._named = set(self._seen)
        elif Path(event.path).parent == Path(self._folder):
            self._changes()[event.call](event)

    def _changes(self) -> dict[str, Callable[[Event], None]]:
        return {
            "openat": self._open,
            "pwrite64": self._write,
            "ftruncate": self._truncate,
            "unlink": self._unlink,
            "fsync": self._sync,
            "fdatasync": self._sync,
            "sendto": lambda event: None,
        }

    def _open(self, event: Event) -> None:
        if event.offset:
            self._seen.setdefault(event.path, bytearray())

    def _write(self, event: Event) -> None:
        content = self._seen.setdefault(event.path, bytearray())
        content.extend(bytes(max(0, event.offset + len(event.data) - len(content))))
        content[event.offset : event.offset + len(event.data)] = event.data
        self._pending.setdefault(event.path, []).append((event.offset, event.data))

    def _truncate(self, event: Event) -> None:
        content = self._seen[event.path]
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))

    def _unlink(self, event: Event) -> None:
        # Lost as a name or not, what was in it must not matter any more; the stricter case is that it stays.
        self._seen.pop(event.path, None)

    def _sync(self, event: Event) -> None:
        if event.path not in self._seen:  # a folder in it, which is not looked at
            return
        self._synced[event.path] = bytes(self._seen[event.path])
        self._pending.pop(event.path, None)

    def lose_power(self, into: Path, survives: Callable[[], bool] = lambda: False) -> Path:
        """Write the files as they are found afterwards; `survives` is asked for each sector that was not synced."""
        into.mkdir()
        for path in self._named & self._synced.keys():
            content = bytearray(self._synced[path])
            for offset, data in self._pending.get(path, []):
                _let_survive(content, offset, data, survives)
            (into / Path(path).name).write_bytes(content)
        return into


def _let_survive(content: bytearray, offset: int, data: bytes, survives: Callable[[], bool]) -> None:
    for start in range(0, len(data), SECTOR):
        if survives():
            piece, at = data[start : start + SECTOR], offset + start
            content.extend(bytes(max(0, at + len(piece) - len(content))))
            content[at : at + len(piece)] = piece
