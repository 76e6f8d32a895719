"""What every command line of the project does alike: refuse in one sentence, and end quietly when asked to.

Exit codes: 0 when all went well, 1 for a fault that may pass or a check that failed, 2 for something to be put right
first (a setting, a file, a folder, an installation), 130 after Ctrl-C, 143 after SIGTERM.

Python's own library only, and nothing that an older Python could not read: an installation may be what is missing.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from src.errors import ConfigError, TraderError

_ROOT = Path(__file__).resolve().parents[1]
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
# What an installation may leave out: the modules of the extras of pyproject.toml.
_EXTRAS = {
    "train": ("ray", "gymnasium", "tensorboard", "wandb", "hmmlearn", "bokeh_sampledata"),
    "live": ("ccxt", "tenacity", "apprise", "prometheus_client"),
}


class Parser(argparse.ArgumentParser):
    """Refuses as everything else does: its `ConfigError` is the sentence that is printed."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see {self.prog} --help")


def found_file(path: Path) -> Path:
    """Return a file of the working folder, or else the project's own of that name, which is then said.

    So `config/risk.yaml` means something in any folder. A path that is neither is returned as it is.
    """
    projects = _ROOT / path
    if path.exists() or not projects.exists():
        return path
    print(f"{path} is not in this folder; taking {projects}", file=sys.stderr)
    return projects


class ShowVersions(argparse.Action):
    """Prints what a report of a bug has to name, and ends: add it as `--version`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        for line in versions():
            print(line)
        parser.exit()


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version` to a command."""
    parser.add_argument("--version", action=ShowVersions, nargs=0, help="what to name in a report of a bug")


def versions() -> list[str]:
    """Return the versions of the project, of Python and the machine, and of the libraries that matter most."""
    from importlib.metadata import PackageNotFoundError, version

    def known(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    libraries = ("torch", "numpy", "pandas", "scipy", "ray", "ccxt")
    return [
        f"supertrader {known('supertrader')} {_commit()}".rstrip(),
        f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores",
        ", ".join(f"{name} {known(name)}" for name in libraries),
    ]


def _commit() -> str:
    # Of a checkout; nothing elsewhere.
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return ""
    return f"({found.stdout.strip()})" if found.returncode == 0 else ""


class Terminated(KeyboardInterrupt):
    """SIGTERM: whatever is under way ends as after Ctrl-C."""


def exit_code(
    work: Callable[[], int], interrupted: str = "interrupted", shown: Callable[[TraderError], str] = str
) -> int:
    """Do the work of a command and return its exit code: its own, or that of the sentence it ended in.

    Args:
        interrupted: what to say after Ctrl-C or SIGTERM.
        shown: how an error is to be put into words.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 (what pip would refuse can be started)
        return _refused(f"{sys.executable} is older than Python 3.11; {_installation()}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot write a dash is no reason to stop
    terminations: list[int] = []
    try:
        with _terminated_like_interrupted(terminations):
            code = work()
            sys.stdout.flush()  # or it would be found out at the very end that nobody reads
            return code
    except TraderError as error:
        return _refused(shown(error), error.exit_code)
    except KeyboardInterrupt as error:
        print(interrupted, file=sys.stderr)
        # What passes through a library may come out of it as a Ctrl-C.
        return 128 + (signal.SIGTERM if terminations or isinstance(error, Terminated) else signal.SIGINT)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ModuleNotFoundError, OSError) as error:
        sentence = _missing(error) if isinstance(error, ModuleNotFoundError) else _not_usable(error)
        if sentence is None:
            raise
        return _refused(sentence)


def _refused(sentence: str, code: int = ConfigError.exit_code) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return code


@contextmanager
def _terminated_like_interrupted(terminations: list[int]) -> Iterator[None]:
    # Enters each SIGTERM in the list.
    def terminate(number: int, _: FrameType | None) -> NoReturn:
        terminations.append(number)
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # which alone is told of signals
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def program(name: str) -> str:
    """Return how a program of the project is called from where the user is, with the Python that runs now."""
    here, python, script = Path.cwd(), Path(sys.executable), _ROOT / name
    is_on_path = shutil.which("python") == str(python)
    words = ["python" if is_on_path else _from(here, python), _from(here, script)]
    return shlex.join(words)


def _from(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _not_usable(error: OSError) -> str | None:
    # None for a fault of the program.
    if error.errno not in _OF_THE_MACHINE:
        return None
    where = error.filename or "a file of this command"
    return f"{where} cannot be used ({error.strerror}); free some space, check its rights, or use another"


def _missing(error: ModuleNotFoundError) -> str | None:
    # None for a fault of the program.
    module = (error.name or "src").partition(".")[0]
    return None if module in ("src", "supertrader") else not_installed(module)


def not_installed(module: str) -> str:
    """Say that a module is missing, and how to install what it comes with, from any folder."""
    extra = next((name for name, modules in _EXTRAS.items() if module in modules), "")
    if sys.prefix != sys.base_prefix:
        project = shlex.quote(f"{_ROOT}[{extra}]" if extra else str(_ROOT))
        remedy = f"run: {sys.executable} -m pip install -c {shlex.quote(f'{_ROOT}/requirements.lock')} -e {project}"
    else:
        remedy = _installation("live" if extra == "live" else "install")
    return f"{module} is not installed for {sys.executable}; {remedy}"


def _installation(goal: str = "install") -> str:
    python = _ROOT / ".venv" / "bin" / "python"
    return f"use {python}" if python.exists() else f"run `make -C {_ROOT} {goal}`, then use {python}"
