"""A lock file is held by one process at a time, and none is left behind, however many ask for it at once."""

import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from src.errors import RunLocked
from src.storage import is_locked, locked, locked_in_turn

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, TURNS = 4, 200


def lock_without_waiting(path: Path) -> AbstractContextManager[None]:
    return locked(path, "busy")


def take_turns(folder: Path, lock: str, number: int) -> int:
    """Count turns in a file that only its holder may touch; return how often another one was inside."""
    take, turns, met = {"wait": locked_in_turn, "ask": lock_without_waiting}[lock], 0, 0
    counter, inside = folder / "counter", folder / "inside"
    while turns < TURNS:
        try:
            with take(folder / "file.lock"):
                try:
                    inside.touch(exist_ok=False)
                except FileExistsError:
                    met += 1
                counter.write_text(str(int(counter.read_text()) + 1))
                inside.unlink(missing_ok=True)
                turns += 1
        except RunLocked:
            continue
    return met


@pytest.mark.parametrize("lock", ["wait", "ask"])
def test_81_processes_that_come_and_go_are_never_inside_together_and_leave_no_file(tmp_path: Path, lock: str) -> None:
    (tmp_path / "counter").write_text("0")
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        met = pool.map(partial(take_turns, tmp_path, lock), range(PROCESSES), chunksize=1)
    assert met == [0] * PROCESSES
    assert (tmp_path / "counter").read_text() == str(PROCESSES * TURNS)
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


def test_81_the_file_of_a_killed_holder_is_no_lock_and_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file.lock"
    script = (
        f"import time; from pathlib import Path; from src.storage import locked\nwith locked(Path({str(path)!r}), 'x'):"
    )
    holder = [sys.executable, "-c", f"{script} print('held', flush=True); time.sleep(600)"]
    with subprocess.Popen(holder, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RunLocked, match="busy"), lock_without_waiting(path):
            pass
        assert is_locked(path)
        os.kill(process.pid, signal.SIGKILL)
    assert path.exists()
    with lock_without_waiting(path):
        assert is_locked(path)
    assert not path.exists()


def test_a_lock_that_was_deleted_and_made_by_another_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "file.lock"
    with lock_without_waiting(path):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"
