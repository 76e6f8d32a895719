"""The journal: what it keeps survives, what it refuses leaves nothing behind."""

import sqlite3
import subprocess
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event

from src.errors import ConfigError, TradingHalted
from src.journal.journal import Journal
from src.journal.schema import (
    SCHEMA_VERSION,
    JournaledFill,
    JournaledOrder,
    JournaledStep,
    client_order_id,
    is_bot_id,
)
from src.market.bars import Bar

BAR = Bar(0, 60, 1.0, 2.0, 0.5, 1.5, 10.0)


def bar_at(open_time: int) -> Bar:
    return replace(BAR, open_time=open_time, close_time=open_time + 60)


def step_at(close_time: int, symbol: str = "BTC/USDT") -> JournaledStep:
    return JournaledStep(
        symbol, close_time, close_time + 5, "decided", {"equity": 0.1 + 0.2}, {"cash": 1e-320}, {}, [], "abc"
    )


def order_at(close_time: int, client_id: str = "st1") -> JournaledOrder:
    return JournaledOrder(client_id, "BTC/USDT", close_time, close_time + 5, "buy", Decimal("0.1"), None, 100.0)


def fill_of(trade_id: str, client_id: str = "st1", time: int = 1) -> JournaledFill:
    units = Decimal("0.30000000000000004")
    return JournaledFill("BTC/USDT", trade_id, client_id, time, units, Decimal("1.10"), Decimal("0.001"), "USDT")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'journal.db'}"


def test_what_was_committed_is_read_back_to_the_last_bit(url: str) -> None:
    journal = Journal(url)
    step, order, fill = step_at(60), order_at(60), fill_of("7")
    journal.record_step(step, BAR, order, [])
    journal.add_fills([fill])
    journal.close()
    again = Journal(url)
    assert again.last_step("BTC/USDT") == step
    assert again.unresolved("BTC/USDT") == [order]
    assert again.fills("BTC/USDT") == [fill]
    assert again.bars("BTC/USDT", 10, 5, 60) == [BAR]
    assert again.last_step("ETH/USDT") is None


def test_a_bar_is_recorded_once_and_a_second_try_leaves_no_order(url: str) -> None:
    journal = Journal(url)
    journal.record_step(step_at(60), BAR, None, [])
    with pytest.raises(TradingHalted, match="decided before"):
        journal.record_step(step_at(60), BAR, order_at(60), [])
    assert journal.unresolved("BTC/USDT") == []


def test_a_long_history_is_read_without_lying_in_memory(url: str) -> None:
    journal = Journal(url)
    for time in range(1, 1_001):
        state = {"books": "x" * 2_000}
        journal.record_step(replace(step_at(time), state=state), bar_at(time - 1), None, [])

    def peak(read: Callable[[], object]) -> int:
        tracemalloc.start()
        read()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    held = peak(lambda: journal.steps("BTC/USDT", 0, 1_000))
    passed = peak(lambda: deque(journal.each_step("BTC/USDT", 0, 1_000), maxlen=0))
    assert held > 1_000 * 2_000
    assert passed < 0.3 * held
    assert list(journal.each_step("BTC/USDT", 10, 20)) == journal.steps("BTC/USDT", 10, 20)
    assert [step.close_time for step in journal.each_step("BTC/USDT", 10, 20)] == list(range(11, 21))
    journal.close()


def test_a_known_bar_keeps_its_first_values(url: str) -> None:
    journal = Journal(url)
    journal.add_bars("BTC/USDT", [BAR, bar_at(60)])
    journal.add_bars("BTC/USDT", [Bar(0, 60, 9.0, 9.0, 9.0, 9.0, 9.0), bar_at(120)])
    journal.add_bars("BTC/USDT", [])
    assert journal.bars("BTC/USDT", 200, 2, 60) == [bar_at(60), bar_at(120)]
    assert journal.bars("BTC/USDT", 60, 9, 60) == [BAR]


def test_a_trade_reported_twice_counts_once_and_resolves_with_the_order(url: str) -> None:
    journal = Journal(url)
    journal.record_step(step_at(60), BAR, order_at(60), [])
    journal.mark_sending("st1", 70)
    assert journal.unresolved("BTC/USDT")[0].sent_at == 70
    assert journal.add_fills([fill_of("7"), fill_of("7")]) == 1
    assert journal.add_fills([fill_of("7"), fill_of("8")], "st1", "filled") == 1
    assert journal.unresolved("BTC/USDT") == []
    found = journal.order_of("BTC/USDT", 60)
    assert found is not None
    assert (found.state, found.outcome) == ("resolved", "filled")


def test_fills_enter_the_books_once_in_the_transaction_of_the_bar(url: str) -> None:
    journal = Journal(url)
    journal.add_fills([fill_of("7", time=2), fill_of("8", time=1)])
    waiting = [fill.trade_id for fill in journal.fills("BTC/USDT", unbooked=True)]
    assert waiting == ["8", "7"]
    journal.record_step(step_at(60), BAR, None, ["8"])
    assert [fill.trade_id for fill in journal.fills("BTC/USDT", unbooked=True)] == ["7"]
    with pytest.raises(TradingHalted):
        journal.record_step(step_at(60), BAR, None, ["7"])
    assert [fill.trade_id for fill in journal.fills("BTC/USDT", unbooked=True)] == ["7"]


def test_a_step_whose_order_cannot_be_kept_is_not_kept_either(url: str) -> None:
    journal = Journal(url)
    journal.record_step(step_at(60), BAR, order_at(60), [])
    journal.add_fills([fill_of("7")])
    with pytest.raises(TradingHalted):
        journal.record_step(step_at(120), bar_at(60), order_at(120), ["7"])  # the id of an earlier order
    assert journal.last_step("BTC/USDT") == step_at(60)
    assert journal.bars("BTC/USDT", 120, 9, 60) == [BAR]
    assert [fill.trade_id for fill in journal.fills("BTC/USDT", unbooked=True)] == ["7"]


def test_whatever_is_written_together_is_committed_at_once(url: str) -> None:
    journal, commits = Journal(url), []
    event.listen(journal.database.engine, "commit", commits.append)
    together: list[Callable[[], object]] = [
        lambda: journal.record_step(step_at(60), BAR, order_at(60), []),
        lambda: journal.mark_sending("st1", 70),
        lambda: journal.add_fills([fill_of("7"), fill_of("8")], "st1", "filled"),
        lambda: journal.record_step(step_at(120), bar_at(60), order_at(120, "st2"), ["7", "8"]),
        lambda: journal.set_risk_state("BTC/USDT", "HALTED", "a reason", 130),
    ]
    for number, write in enumerate(together, start=1):
        write()
        assert len(commits) == number


def test_orders_are_counted_over_all_symbols_by_the_closes_they_were_decided_at(url: str) -> None:
    journal = Journal(url)
    journal.record_step(step_at(60), BAR, order_at(60), [])
    journal.record_step(step_at(120), bar_at(60), order_at(120, "st2"), [])
    assert [journal.orders_since(time) for time in (0, 60, 61, 120, 121)] == [2, 2, 1, 1, 0]


def test_risk_states_pins_and_events_last(url: str) -> None:
    journal = Journal(url)
    journal.set_risk_state("BTC/USDT", "REDUCING", "why", 1)
    journal.set_risk_state("BTC/USDT", "HALTED", "worse", 2)
    journal.pin("risk", "a")
    journal.pin("risk", "b")
    journal.note(5, "BTC/USDT", "alert", "text")
    journal.close()
    again = Journal(url)
    assert again.risk_state("BTC/USDT") == ("HALTED", "worse")
    assert (again.pinned("risk"), again.pinned("other")) == ("b", None)
    assert again.events("BTC/USDT", 0, 9) == [(5, "alert", "text")]


def test_client_ids_are_decided_by_account_symbol_and_bar_alone() -> None:
    one = client_order_id("main", "BTC/USDT", 60)
    assert one == client_order_id("main", "BTC/USDT", 60)
    others = [("main", "BTC/USDT", 61), ("main", "ETH/USDT", 60), ("second", "BTC/USDT", 60)]
    assert len({one, *(client_order_id(*other) for other in others)}) == 4
    assert len(one) == 18
    assert one.isalnum()
    assert is_bot_id(one)
    assert not is_bot_id("web_4711")
    script = "from src.journal.schema import client_order_id as c; print(c('main', 'BTC/USDT', 60))"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == one


def test_35_a_power_cut_loses_nothing_that_was_committed(url: str) -> None:
    journal, settings = Journal(url), []
    event.listen(
        journal.database.engine,
        "checkout",
        lambda raw, *_: settings.append(raw.execute("PRAGMA synchronous").fetchone()),
    )
    journal.pin("a", "b")
    assert settings[0] == (2,)  # FULL
    assert sqlite3.connect(url.removeprefix("sqlite:///")).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_39_a_full_disk_stops_the_order_and_keeps_the_past(url: str) -> None:
    journal = Journal(url)
    journal.record_step(step_at(60), BAR, None, [])

    @event.listens_for(journal.database.engine, "checkout")
    def full(raw: sqlite3.Connection, *_: object) -> None:
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count = {pages}")

    big = JournaledStep(**{**vars(step_at(120)), "saw": {"text": "x" * 100_000}})
    with pytest.raises(TradingHalted, match="full"):
        journal.record_step(big, bar_at(60), order_at(120), [])
    assert journal.unresolved("BTC/USDT") == []
    assert journal.last_step("BTC/USDT") == step_at(60)


@pytest.mark.parametrize("version", ["0", str(SCHEMA_VERSION + 1), "x"])
def test_38_the_schema_of_another_version_is_refused_and_left_alone(url: str, version: str) -> None:
    journal = Journal(url)
    journal.pin("schema_version", version)
    journal.close()
    with pytest.raises(ConfigError, match=f"schema version {version}, this program keeps version {SCHEMA_VERSION}"):
        Journal(url)


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_36_a_file_that_is_no_journal_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="journal"):
        Journal(f"sqlite:///{path}")
    assert path.read_bytes() == content


def damage(path: Path) -> None:
    """Overwrite every page but the first, as a disk does that goes wrong."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(18)[16:], "big")
        file.seek(size)
        file.write(b"\xff" * (path.stat().st_size - size))


def long_journal(url: str) -> Journal:
    """More steps than are held in memory, all in the file itself."""
    journal = Journal(url)
    for time in range(1, 400):
        journal.record_step(replace(step_at(time), saw={"text": "x" * 2_000}), bar_at(time - 60), None, [])
    journal.close()
    return journal


def test_83_a_damaged_journal_is_refused_in_one_sentence_at_a_start(url: str) -> None:
    long_journal(url)
    damage(Path(url.removeprefix("sqlite:///")))
    with pytest.raises(ConfigError, match=r"^the journal .*(is damaged|cannot be used).*; check the disk"):
        Journal(url)


def test_83_damage_that_is_met_while_trading_halts(url: str) -> None:
    long_journal(url)
    journal = Journal(url)
    damage(Path(url.removeprefix("sqlite:///")))
    with pytest.raises(TradingHalted, match=r"^the journal cannot be read .*; check the disk"):
        journal.steps("BTC/USDT", 0, 1_000)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/journal.db", "nonsense", "sqlite:////proc/journal.db"])
def test_a_place_that_cannot_be_written_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        Journal(url)
