"""Fault 35, power loss: what the journal has committed is on the disk before an order leaves, and is recovered from.

Whether bytes have reached the disk cannot be seen in files, which the kernel shows as written at once. So the first
tests rebuild the disk from the system calls of a real run: what was not synced when the power went is gone.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection

from src.brokerage import ccxt_account
from src.journal.journal import Journal
from src.live.live_guard import RiskState
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import SYMBOL
from tests.support.power_cut import Disk, Event, events, trace

ROOT = Path(__file__).resolve().parents[2]
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="system calls are seen through strace")

CARELESS = """
from src.journal import database
def careless(connection, _record):
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
database._configure_sqlite = careless
"""
TRADING = """
import sys
from pathlib import Path
from src.brokerage import ccxt_account
from tests.support.live_scene import Stage

ccxt_account.TIMEOUT_MS = 1_500
print("ready", flush=True)
input()
with Stage(Path(sys.argv[1]), [1.0, 1.0, 0.0, 0.0]) as stage:
    stage.server.fates = ["cut after accept"]
    stage.play(4)
"""
PINNING = """
import os, sys
from src.journal.journal import Journal

print("ready", flush=True)
input()
journal = Journal(f"sqlite:///{sys.argv[1]}/journal.db")
marks = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
for number in range(500):
    journal.pin("number", f"{number} {'x' * 5000}")
    os.pwrite(marks, b"done", number)
"""


def traced(tmp_path: Path, script: str) -> tuple[Path, list[Event]]:
    folder, log = tmp_path / "state", tmp_path / "calls"
    folder.mkdir()
    complaints = trace(script, [str(folder), str(tmp_path / "marks")], log, ROOT)
    assert not complaints
    return folder, list(events(log))


def orders_at_posts(tmp_path: Path, script: str) -> list[list[str]]:
    """Cut the power as each order leaves; return the states of the orders that are found afterwards."""
    folder, seen = traced(tmp_path, script)
    disk, found = Disk(folder), []
    for event in seen:
        disk.see(event)
        if event.call == "sendto" and event.data.startswith(b"POST /api/v3/order"):
            journal = Journal(f"sqlite:///{disk.lose_power(tmp_path / str(len(found)))}/journal.db")
            found.append([order.state for order in journal._orders(True)])
            for order in journal.unresolved(SYMBOL):
                last = journal.last_step(SYMBOL)
                assert last is not None
                assert (order.close_time, order.exchange_id) == (last.close_time, None)
    return found


@needs_strace
def test_35_an_order_that_leaves_is_on_the_disk(tmp_path: Path) -> None:
    assert orders_at_posts(tmp_path, TRADING) == [["sending"], ["resolved", "sending"]]


@needs_strace
def test_35_a_journal_that_syncs_less_fails_the_test_above(tmp_path: Path) -> None:
    found = orders_at_posts(tmp_path, CARELESS + TRADING)
    assert len(found) == 2
    assert all("sending" not in states for states in found)


@needs_strace
def test_35_no_commit_is_lost_nor_the_file_damaged_whichever_sectors_survive(tmp_path: Path) -> None:
    folder, seen = traced(tmp_path, PINNING)
    disk, rng, pinned, images = Disk(folder), np.random.default_rng(0), -1, 0
    for place, event in enumerate(seen):
        disk.see(event)
        pinned += event.path == str(tmp_path / "marks") and event.call == "pwrite64"
        if pinned >= 0 and place % 17 == 0:
            survives = [lambda: False, lambda: True, lambda: bool(rng.random() < 0.5)][images % 3]
            found = Journal(f"sqlite:///{disk.lose_power(tmp_path / str(images), survives)}/journal.db")
            number = int((found.pinned("number") or "").split()[0])
            assert number - pinned in (0, 1)  # the one that was just being written may have survived
            images += 1
    assert pinned == 499
    assert images > 100
    assert any(event.call == "pwrite64" and event.path.endswith(".db") for event in seen[-500:]), "no checkpoint"


class PowerLoss(BaseException):
    """Nothing catches it."""


@contextmanager
def power_lost_at(commit: int, stage: Stage, into: Path) -> Iterator[None]:
    """Keep the journal's files as they are after that many commits from now, and end the bot there."""
    journal, left = stage.services.journal, [commit]
    writing = journal.database.writing

    @contextmanager
    def doomed() -> Iterator[Connection]:
        with writing() as connection:
            yield connection
        left[0] -= 1
        if left[0] == 0:
            into.mkdir()
            for path in stage.folder.glob("journal.db*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, into)
            raise PowerLoss

    journal.database.writing = doomed  # type: ignore[method-assign]
    yield


def survives(tmp_path: Path, fate: str, commit: int) -> bool:
    """Lose power at a commit of the candle that buys; return False if there are not so many."""
    folder = tmp_path / str(commit)
    folder.mkdir()
    with Stage(folder / "state", [1.0, 1.0, 0.0, 0.0]) as stage:
        stage.server.fates = [fate]
        stage.at_candle(FIRST)
        with power_lost_at(commit, stage, folder / "image"):
            try:
                stage.worker.once()
            except PowerLoss:
                stage.folder = folder / "image"
        if stage.folder != folder / "image":
            return False
        stage.server.fates = []
        stage.server.deliver_late()
        stage.restart()
        stage.check()
        assert len(stage.server.posts) <= 1
        stage.play(3)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert stage.units() == pytest.approx(0.0, abs=1e-5)
        assert stage.state is RiskState.ACTIVE
    return True


@pytest.mark.parametrize("fate", ["ok", "cut after accept", "late"])
def test_35_power_lost_at_any_commit_is_recovered_from(
    tmp_path: Path, fate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)
    commits = next(number for number in range(1, 30) if not survives(tmp_path, fate, number))
    assert commits > 4
