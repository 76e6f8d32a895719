"""`run_live_bot.py` as its users start it: settings in a folder, the command in this process or in one of its own."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

import run_live_bot
from tests.support.waiting import PATIENCE_S, wait_until

ROOT = Path(run_live_bot.__file__).parent
ACKNOWLEDGED = {"SUPERTRADER_REAL_ORDERS": "I accept that this program trades real money"}
KEYS = {"SUPERTRADER_API_KEY": "e2e-key-0123456789", "SUPERTRADER_API_SECRET": "e2e-secret-0123456789"}


def write_settings(folder: Path, **changes: object) -> None:
    path = folder / "config/live.yaml"
    known = yaml.safe_load(path.read_text()) if path.exists() else {}
    path.write_text(yaml.safe_dump(known | changes))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_live_bot.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def start(
    folder: Path,
    *arguments: str,
    first: Callable[[], object] | None = None,
    stdout: int = subprocess.PIPE,
    **environment: str,
) -> "subprocess.Popen[str]":
    """Start a bot as on a server, which has no trainer; `first` is done in its process before anything else."""
    program = [str(ROOT / "tests/support/without_trainer.py"), str(ROOT / "run_live_bot.py")]
    return subprocess.Popen(
        [sys.executable, *program, *arguments, "--symbol", "BTC/USDT"],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        stdout=stdout,
        text=True,
        preexec_fn=first,
    )


def wait_for_steps(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    journal = folder / "state/journal.db"

    def are_recorded() -> bool:
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        if not journal.exists():
            return False
        try:
            with closing(sqlite3.connect(journal)) as connection:
                return int(connection.execute("select count(*) from steps").fetchone()[0]) >= count
        except sqlite3.OperationalError:
            return False

    wait_until(are_recorded, otherwise="no step was recorded")


def health(port: int) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
