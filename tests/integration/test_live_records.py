"""Records that fail: what the journal holds is what was lived through, whatever a write ends in."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from src.errors import TradingHalted
from src.journal import database
from src.journal.journal import Journal
from src.live.halt_file import HaltFile, halt_file
from src.live.live_guard import LiveGuard, RiskState
from src.live.operator.by_hand import resume
from tests.support.live_scene import Stage
from tests.support.live_setup import LIMITS, SYMBOL


def fail_after(stage: Stage, name: str) -> None:
    """Let the next write of this name be committed, and fail then."""
    write = getattr(stage.services.journal, name)

    def committed_then_failed(*arguments: object) -> None:
        setattr(stage.services.journal, name, write)
        write(*arguments)
        raise TradingHalted("the journal cannot be written (disk I/O error)")

    setattr(stage.services.journal, name, committed_then_failed)


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_49_a_fill_is_not_forgotten_where_a_write_fails_after_its_step(tmp_path: Path, restart: bool) -> None:
    with Stage(tmp_path, [1.0, 1.0, 1.0, 0.0]) as stage:
        stage.play(1)
        fail_after(stage, "record_step")  # of the step that takes the fill into the books
        stage.play(1)
        assert stage.state is RiskState.HALTED
        stage.restart() if restart else stage.worker.once()
        stage.check()
        stage.play(1)
        stage.check()
        assert stage.units() > 9
        stage.play(1)  # to be flat is always allowed
        stage.play(1)
        stage.check()
        assert stage.units() == pytest.approx(0.0, abs=1e-5)


def test_49_a_fill_is_not_forgotten_where_a_complaint_cannot_be_noted(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        stage.play(1)
        stage.trader._drift.add = lambda step: [(RiskState.REDUCING, "drift")]  # type: ignore[method-assign]
        fail_after(stage, "set_risk_state")
        stage.play(1)
        stage.check()
        stage.play(1)
        stage.check()
        assert stage.units() > 9
        assert [step.close_time for step in stage.steps()] == sorted({step.close_time for step in stage.steps()})
        assert stage.services.journal.unresolved(SYMBOL) == []


class Refusal:
    """A journal that takes nothing more while this holds."""

    def __init__(self, stage: Stage, how: str) -> None:
        self._stage, self._how = stage, how

    def __enter__(self) -> None:
        engine = self._stage.services.journal.database.engine
        if self._how == "locked":
            self._other = sqlite3.connect(self._stage.folder / "journal.db", isolation_level=None)
            self._other.execute("BEGIN IMMEDIATE")
        else:
            event.listen(engine, "checkout", _read_only)

    def __exit__(self, *_: object) -> None:
        if self._how == "locked":
            self._other.close()
        else:
            event.remove(self._stage.services.journal.database.engine, "checkout", _read_only)
            self._stage.services.journal.database.engine.dispose()


def _read_only(raw: sqlite3.Connection, *_: object) -> None:
    raw.execute("PRAGMA query_only = ON")


@pytest.mark.parametrize("how", ["locked", "read-only"])
def test_52_a_halt_that_the_journal_cannot_take_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 1)
    with Stage(tmp_path, [0.5, 0.5, 1.0]) as stage:
        stage.play(1)
        with Refusal(stage, how):
            stage.play(1)
            assert stage.state is RiskState.HALTED
            assert stage.services.journal.risk_state(SYMBOL) is None
            posts = len(stage.server.posts)
            stage.at_candle(stage.candle + 1)
            stage.worker.once()
            assert len(stage.steps()) == 2, "nothing is decided before the state is settled"
            if how == "locked":
                assert LiveGuard(SYMBOL, stage.limits, stage.services.journal, second_of(stage)).state is stage.state
        stage.restart()
        assert stage.state is RiskState.HALTED
        assert stage.services.journal.risk_state(SYMBOL) == ("HALTED", stage.trader.guard.reason)
        assert any("is HALTED" in text for text in stage.messages.errors)
        assert "cannot be written" in stage.trader.guard.reason
        stage.play(1)
        assert len(stage.server.posts) == posts
        guard = LiveGuard(SYMBOL, stage.limits, stage.services.journal, second_of(stage))
        stage.server.now_ms += 1
        resume(guard, stage.services.journal, stage.server.now_ms)
        stage.restart()
        assert stage.state is RiskState.ACTIVE


def second_of(stage: Stage) -> HaltFile:
    assert stage.services.halts is not None
    return halt_file(stage.services.halts, SYMBOL)


@pytest.mark.parametrize("content", [b"\xff\x00garbage", b'["HALTED"', b'"A"', b'["SLEEPING", ""]'])
def test_52_a_second_place_that_cannot_be_read_halts(tmp_path: Path, content: bytes) -> None:
    journal, second = Journal("sqlite://"), HaltFile(tmp_path / "halts/BTCUSDT.json")
    assert LiveGuard(SYMBOL, LIMITS, journal, second).state is RiskState.ACTIVE
    (tmp_path / "halts/BTCUSDT.json").write_bytes(content)
    assert LiveGuard(SYMBOL, LIMITS, journal, second).state is RiskState.HALTED


def test_52_the_second_place_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.json"
    second = HaltFile(path)
    assert second.read() is None
    second.reserve()
    before = path.stat()
    second.write("HALTED", "the disk is full" * 1000)
    found, after = second.read(), path.stat()
    assert found is not None
    assert found[0] == "HALTED"
    assert (before.st_ino, before.st_size, before.st_blocks) == (after.st_ino, after.st_size, after.st_blocks)
    second.clear()
    assert second.read() is None


def delete(path: Path) -> None:
    path.unlink()


def replace_by_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


@pytest.mark.parametrize("lose", [delete, replace_by_a_copy])
@pytest.mark.parametrize("moment", ["between candles", "before sending"])
def test_64_a_journal_that_is_gone_is_noticed_before_an_order_is_sent(
    tmp_path: Path, lose: Callable[[Path], None], moment: str
) -> None:
    with Stage(tmp_path, [0.5, 1.0, 1.0]) as stage:
        stage.play(1)
        path, record = tmp_path / "journal.db", stage.services.journal.record_step

        def recorded_in_vain(*arguments: object) -> None:
            record(*arguments)  # type: ignore[arg-type]
            lose(path)

        if moment == "before sending":
            stage.services.journal.record_step = recorded_in_vain  # type: ignore[method-assign]
        else:
            lose(path)
        stage.play(2)
        assert len(stage.server.posts) == 1
        assert stage.state is RiskState.HALTED
        assert "deleted or replaced" in stage.trader.guard.reason
        assert any("deleted or replaced" in text for text in stage.messages.errors)
        stage.restart()
        stage.play(1)
        assert stage.state is RiskState.HALTED
        assert len(stage.server.posts) == 1
