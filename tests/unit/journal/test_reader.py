"""`JournalReader` looks at a journal without a trace: beside a running bot, after its end, where it may not write."""

import ctypes
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.errors import ConfigError
from src.journal import read_only
from src.journal.inspection import decision_at, status
from src.journal.journal import Journal
from src.journal.queries import JournalReader
from src.journal.schema import SCHEMA_VERSION, JournaledFill, JournaledOrder, JournaledStep
from src.market.bars import Bar

ROOT = Path(__file__).resolve().parents[3]
BAR = Bar(0, 60, 1.0, 2.0, 0.5, 1.5, 10.0)
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def bar_at(open_time: int) -> Bar:
    return replace(BAR, open_time=open_time, close_time=open_time + 60)


def step_at(close_time: int) -> JournaledStep:
    return JournaledStep("BTC/USDT", close_time, close_time + 5, "decided", {"equity": 0.1}, {}, {}, [], "abc")


def order_at(close_time: int) -> JournaledOrder:
    return JournaledOrder("st1", "BTC/USDT", close_time, close_time + 5, "buy", Decimal("0.1"), None, 100.0)


def fill_of(trade_id: str) -> JournaledFill:
    return JournaledFill("BTC/USDT", trade_id, "st1", 70, Decimal("0.1"), Decimal(1), Decimal(0), "USDT")


def written(path: Path) -> Journal:
    """A journal that a bot has open, with a step, its order and a fill."""
    journal = Journal(url_of(path))
    journal.record_step(step_at(60), BAR, order_at(60), [])
    journal.add_fills([fill_of("7")])
    return journal


def footprint(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.iterdir())}


def answers(reader: JournalReader) -> list[Any]:
    return [
        reader.pinned("schema_version"),
        reader.symbols(),
        reader.last_step("BTC/USDT"),
        reader.steps("BTC/USDT", 0, 1_000),
        reader.bars("BTC/USDT", 1_000, 10, 60),
        reader.unresolved("BTC/USDT"),
        reader.fills("BTC/USDT"),
        reader.orders_since(0),
    ]


def test_it_answers_as_the_journal_itself(tmp_path: Path) -> None:
    journal = written(tmp_path / "journal.db")
    reader = JournalReader(url_of(tmp_path / "journal.db"))
    assert answers(reader) == answers(journal)
    assert status(reader, "BTC/USDT") == status(journal, "BTC/USDT")
    assert decision_at(reader, "BTC/USDT", 99) == decision_at(journal, "BTC/USDT", 99)
    journal.close()
    assert reader.last_step("BTC/USDT") == step_at(60)


def test_it_sees_what_a_bot_commits_meanwhile_and_holds_it_up_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    written(path).close()
    reader = JournalReader(url_of(path))
    assert reader.last_step("BTC/USDT") == step_at(60)
    journal = Journal(url_of(path))  # a bot starts
    journal.record_step(step_at(120), bar_at(60), None, [])
    assert reader.last_step("BTC/USDT") == step_at(120)
    lasting = reader.each_step("BTC/USDT", 0, 1_000)
    assert next(lasting) == step_at(60)
    journal.record_step(step_at(180), bar_at(120), None, [])  # in the middle of its reading
    with sqlite3.connect(path, timeout=0) as connection:  # and the log can be emptied, which no reader may be in
        assert connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0] == 0
    connection.close()
    journal.close()  # it ends
    assert reader.last_step("BTC/USDT") == step_at(180)


def killed(folder: Path) -> None:
    """Leave what a bot leaves that is killed: committed steps in the log alone."""
    (folder.parent / "bot").mkdir()
    journal = written(folder.parent / "bot/journal.db")
    for path in (folder.parent / "bot").iterdir():
        shutil.copy(path, folder)
    journal.close()


STATES: dict[str, Callable[[Path], object]] = {
    "at rest": lambda folder: written(folder / "journal.db").close(),
    "a bot is running": lambda folder: written(folder / "journal.db"),
    "a bot was killed": killed,
}


# Permissions do not bind root, unless it gives up what says so.
READ = """
import json, sys
from src.journal.queries import JournalReader
reader = JournalReader(sys.argv[1])
print(json.dumps([reader.last_step("BTC/USDT").close_time, len(reader.fills("BTC/USDT"))]))
"""


def bound_by_permissions() -> None:
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.mark.parametrize("may_write", [True, False], ids=["it may write", "it may only read"])
@pytest.mark.parametrize("state", STATES)
def test_it_leaves_no_trace_and_needs_no_right_but_to_read(tmp_path: Path, state: str, may_write: bool) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    bot = STATES[state](folder)
    before = footprint(folder)
    if not may_write:
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", READ, url_of(folder / "journal.db")],
        cwd=ROOT,
        preexec_fn=bound_by_permissions,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [60, 1]
    assert footprint(folder) == before
    if isinstance(bot, Journal):
        bot.close()


def test_an_answer_from_a_file_that_was_written_meanwhile_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    written(path).close()
    reader = JournalReader(url_of(path))
    seen: list[object] = []

    def rest(self: read_only.ReadOnlyDatabase) -> object:
        found = real(self)
        seen.append(found)
        if len(seen) == 1:  # between the look at the file and the reading, a bot starts, writes and ends
            bot = Journal(url_of(path))
            bot.record_step(step_at(120), bar_at(60), None, [])
            bot.close()
        return found

    real = read_only.ReadOnlyDatabase._rest
    monkeypatch.setattr(read_only.ReadOnlyDatabase, "_rest", rest)
    assert reader.last_step("BTC/USDT") == step_at(120)
    assert len(seen) == 4
    assert seen[0] != seen[1] == seen[2] == seen[3]


def test_a_missing_journal_is_said_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no journal sqlite:////.*/state/journal\.db"):
        JournalReader(url_of(tmp_path / "state/journal.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", ["1", "99"])
def test_a_journal_of_another_version_is_said_and_not_migrated(tmp_path: Path, version: str) -> None:
    path = tmp_path / "journal.db"
    journal = written(path)
    journal.pin("schema_version", version)
    journal.close()
    before = footprint(tmp_path)
    said = f"has schema version {version}, this program reads version {SCHEMA_VERSION}; use"
    with pytest.raises(ConfigError, match=said):
        JournalReader(url_of(path))
    assert footprint(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_journal_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.db").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        JournalReader(url_of(tmp_path / "journal.db"))
    assert footprint(tmp_path)["journal.db"][1] == content
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///state", "nobody:///here"])
def test_a_place_where_no_journal_can_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir()
    with pytest.raises(ConfigError, match="journal"):
        JournalReader(url)
