"""What is moved to an archive is neither lost nor there twice, wherever it is interrupted; what a bot needs stays."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.errors import ConfigError, TradingHalted
from src.journal import archive, database
from src.journal.archive import Moved, move_to_archive
from src.journal.journal import Journal
from src.journal.queries import JournalReader
from src.journal.schema import JournaledFill, JournaledOrder, JournaledStep
from src.market.bars import Bar

ROOT = Path(__file__).resolve().parents[3]
HOUR = 3_600_000
DAYS = 10
STEPS = DAYS * 24
SYMBOLS = ("BTC/USDT", "ETH/USDT")
WINDOW = 20
NOW = STEPS * HOUR + 7


def make_journal(path: Path, steps: int = STEPS) -> Path:
    """Hourly steps from time 0 on; each tenth leads to an order, which the step after it books."""
    journal = Journal(f"sqlite:///{path}")
    journal.pin("mode", "paper")
    with journal.database.writing() as connection:
        for symbol in SYMBOLS:
            for number in range(1, steps + 1):
                add_step(journal, connection, symbol, number)
    journal.close()
    return path


def add_step(journal: Journal, connection: Any, symbol: str, number: int) -> None:
    close, client_id = number * HOUR, f"st{symbol[:3]}{number:013d}"
    values = {"record": {"equity": 0.1 + number / 3}, "state": {}, "saw": {"text": "x" * 500}, "changed": []}
    step = JournaledStep(symbol, close, close + 5, "decided", **values, model="abc")
    connection.execute(archive.STEPS.insert(), dict(vars(step)))
    bar = Bar(close - HOUR, close, 1.0, 2.0, 0.5, 0.1 + number / 3, 10.0)
    prices = {name: getattr(bar, name) for name in ("open_time", "open", "high", "low", "close", "volume")}
    connection.execute(archive.BARS.insert(), {"symbol": symbol, "step_ms": HOUR, **prices})
    if number % 10 == 0:
        order = JournaledOrder(client_id, symbol, close, close + 5, "buy", Decimal(1), None, 1.0, "resolved")
        connection.execute(archive.ORDERS.insert(), vars(order) | {"amount": "1"})
        fill = JournaledFill(symbol, str(number), client_id, close + 6, Decimal(1), Decimal(2), Decimal(0), "USDT")
        exact = {"quantity": "1", "price": "2", "fee": "0", "booked_at": close + HOUR}
        connection.execute(archive.FILLS.insert(), vars(fill) | exact)


def contents(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: sorted(connection.execute(f"select * from {name}").fetchall(), key=repr) for name in names}


def move(folder: Path, before: int, symbol: str = "BTC/USDT", window: int = WINDOW) -> Moved:
    journal, archived = (Journal(f"sqlite:///{folder / name}.db") for name in ("journal", "archive"))
    moved = move_to_archive(journal, archived, symbol, before, window, NOW)
    archived.close()
    journal.database.give_back_room()
    journal.close()
    return moved


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_journal(tmp_path_factory.mktemp("journal") / "journal.db")


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    (tmp_path / "journal.db").write_bytes(template.read_bytes())
    return tmp_path


def steps_of(path: Path, symbol: str = "BTC/USDT") -> list[int]:
    return [row[1] // HOUR for row in sorted(contents(path)["steps"]) if row[0] == symbol]


def test_82_what_closed_before_a_time_moves_and_nothing_is_lost_or_changed(folder: Path) -> None:
    before = contents(folder / "journal.db")
    assert move(folder, 5 * 24 * HOUR) == Moved(119, 0, 5 * 24 * HOUR)
    journal, archived = contents(folder / "journal.db"), contents(folder / "archive.db")
    assert steps_of(folder / "archive.db") == list(range(1, 121))
    assert steps_of(folder / "journal.db") == list(range(120, STEPS + 1))  # the last one is what the next follows on
    assert steps_of(folder / "journal.db", "ETH/USDT") == list(range(1, STEPS + 1))
    assert sorted({*journal["steps"], *archived["steps"]}) == sorted(before["steps"])
    assert journal["events"] == [(1, NOW, "BTC/USDT", "archive", "119 steps and 0 bars were moved to an archive")]
    for name in set(before) - {"steps", "events"}:
        assert journal[name] == before[name]
    for name, time, last in (("orders", 2, 120), ("fills", 8, 111), ("bars", 2, 119)):
        ours = [row for row in before[name] if "BTC/USDT" in row and row[time] <= last * HOUR]
        assert archived[name] == ours != []


def test_82_an_archive_grows_by_what_is_moved_later(folder: Path) -> None:
    before = contents(folder / "journal.db")
    for symbol, days in (("BTC/USDT", 2), ("ETH/USDT", 3), ("BTC/USDT", 5), ("BTC/USDT", 5)):
        move(folder, days * 24 * HOUR, symbol)
    assert steps_of(folder / "archive.db") == list(range(1, 121))
    assert steps_of(folder / "archive.db", "ETH/USDT") == list(range(1, 73))
    both = {*contents(folder / "journal.db")["steps"], *contents(folder / "archive.db")["steps"]}
    assert sorted(both) == sorted(before["steps"])


def test_82_the_archive_is_asked_like_a_journal(folder: Path) -> None:
    reader = JournalReader(f"sqlite:///{folder / 'journal.db'}")
    ask = [
        lambda r: r.last_step("BTC/USDT", until=50 * HOUR),
        lambda r: r.steps("BTC/USDT", 24 * HOUR, 48 * HOUR),
        lambda r: r.bars("BTC/USDT", 48 * HOUR, 40, HOUR),
        lambda r: r.order_of("BTC/USDT", 30 * HOUR),
        lambda r: r.fills("BTC/USDT", booked_at=31 * HOUR),
        lambda r: r.pinned("mode"),
    ]
    answers = [question(reader) for question in ask]
    move(folder, 5 * 24 * HOUR)
    archived = JournalReader(f"sqlite:///{folder / 'archive.db'}")
    assert [question(archived) for question in ask] == answers


def test_82_the_disk_gets_its_room_back(folder: Path) -> None:
    size = (folder / "journal.db").stat().st_size
    move(folder, 8 * 24 * HOUR)
    move(folder, 8 * 24 * HOUR, "ETH/USDT")
    assert (folder / "journal.db").stat().st_size < size / 2
    assert [path.name for path in sorted(folder.iterdir())] == ["archive.db", "journal.db"]


# What a bot needs.


@pytest.mark.parametrize(("window", "first"), [(WINDOW, STEPS - 48 - 1), (100, STEPS - 102)])
def test_what_a_start_looks_back_on_stays_whatever_the_time(folder: Path, window: int, first: int) -> None:
    assert move(folder, 10**15, window=window).until < STEPS * HOUR
    assert steps_of(folder / "journal.db")[0] == first


@pytest.mark.parametrize(
    "question",
    [
        "update orders set state = 'sending' where close_time = 50 * 3600000",
        "update fills set booked_at = null where trade_id = '50'",
    ],
)
def test_what_an_open_question_is_about_stays(folder: Path, question: str) -> None:
    with closing(sqlite3.connect(folder / "journal.db")) as connection, connection:
        connection.execute(question)
    move(folder, 5 * 24 * HOUR)
    assert steps_of(folder / "journal.db")[0] in (49, 50)
    assert len(contents(folder / "archive.db")["fills"]) == 4


def test_bars_before_the_steps_that_stay_stay_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "KEPT_BARS", 30)
    before = contents(folder / "journal.db")["bars"]
    assert move(folder, 5 * 24 * HOUR).bars == 120 - 30
    kept = [row[2] // HOUR for row in contents(folder / "journal.db")["bars"] if row[0] == "BTC/USDT"]
    assert sorted(kept) == list(range(90, STEPS))
    both = {*contents(folder / "journal.db")["bars"], *contents(folder / "archive.db")["bars"]}
    assert sorted(both) == sorted(before)


# Refusals.


def test_the_archive_of_another_account_is_refused(folder: Path) -> None:
    other = Journal(f"sqlite:///{folder / 'archive.db'}")
    other.pin("mode", "real orders")
    other.close()
    before = contents(folder / "journal.db")
    with pytest.raises(ConfigError, match="belongs to mode 'real orders', and the journal to 'paper'; move"):
        move(folder, 5 * 24 * HOUR)
    assert contents(folder / "journal.db") == before


def test_an_archive_that_says_something_else_is_refused_and_the_journal_keeps_what_it_has(folder: Path) -> None:
    move(folder, 2 * 24 * HOUR)
    with closing(sqlite3.connect(folder / "archive.db")) as connection, connection:
        connection.execute("update steps set status = 'late' where close_time = 48 * 3600000")
    before = contents(folder / "journal.db")
    with pytest.raises(ConfigError, match=r"holds another row of steps for \('BTC/USDT', 172800000\)"):
        move(folder, 5 * 24 * HOUR)
    assert contents(folder / "journal.db") == before


def test_a_file_that_cannot_be_made_smaller_is_said_and_nothing_is_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 1)
    journal = Journal(f"sqlite:///{folder / 'journal.db'}")
    before = contents(folder / "journal.db")
    with closing(sqlite3.connect(folder / "journal.db")) as other:
        other.execute("begin immediate")
        with pytest.raises(TradingHalted, match="the journal cannot be made smaller"):
            journal.database.give_back_room()
    journal.close()
    assert contents(folder / "journal.db") == before


# Dies just before its n-th statement or commit, in a process of its own for each n, until one lives to the end.
DRIVER = """
import os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from src.journal import archive, database
from tests.unit.journal.test_archive import HOUR, move

archive.ROWS_AT_A_TIME, archive.KEPT_BARS = 11, 5
folder = Path(sys.argv[1])

def doomed(place, last):
    left = [last]
    @event.listens_for(Engine, "before_cursor_execute")
    @event.listens_for(Engine, "commit")
    def count(*_):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
    move(place, 30 * HOUR, window=5)

for last in range(1000):
    place = folder / str(last)
    shutil.copytree(folder / "before", place)
    child = os.fork()
    if child == 0:
        doomed(place, last)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print(last)
        break
"""


def test_82_killed_at_any_statement_nothing_is_lost_and_the_next_try_ends_as_the_one_that_lived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "before").mkdir()
    before = contents(make_journal(tmp_path / "before/journal.db", 80))
    Journal(f"sqlite:///{tmp_path / 'before/archive.db'}").close()
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lived = int(done.stdout)
    assert lived > 30, "pages of each table, and the deletions"
    monkeypatch.setattr(archive, "KEPT_BARS", 5)
    wanted = [contents(tmp_path / str(lived) / name) for name in ("journal.db", "archive.db")]
    assert len(wanted[0]["steps"]) < len(before["steps"])
    for last in range(lived):
        place = tmp_path / str(last)
        journal, archived = contents(place / "journal.db"), contents(place / "archive.db")
        for name in ("steps", "bars"):
            found = {*journal[name], *archived[name]}
            assert sorted(found) == sorted(before[name]), f"killed before statement {last}"
        assert journal["fills"] == before["fills"]
        move(place, 30 * HOUR, window=5)
        assert [contents(place / name) for name in ("journal.db", "archive.db")] == wanted
