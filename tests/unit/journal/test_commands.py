"""The table of commands: each counts once, is one symbol's, and is taken or taken back but not both."""

from pathlib import Path

import pytest

from src.errors import ConfigError
from src.journal.commands import Commands
from src.journal.journal import Journal
from src.journal.queries import JournalReader

BTC, ETH = "BTC/USDT", "ETH/USDT"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(f"sqlite:///{tmp_path / 'journal.db'}")


def verbs(commands: Commands, symbol: str) -> list[str]:
    return [command.verb for command in commands.pending(symbol)]


def test_a_key_counts_once_and_each_symbol_gets_its_own_in_order(journal: Journal) -> None:
    commands = journal.commands
    asked = [("a", BTC, "pause"), ("b", ETH, "close"), ("c", BTC, "close"), ("a", BTC, "resume")]
    assert [commands.append(key, symbol, verb, "a test", 5) for key, symbol, verb in asked] == [True, True, True, False]
    assert (verbs(commands, BTC), verbs(commands, ETH), verbs(commands, "SOL/USDT")) == (
        ["pause", "close"],
        ["close"],
        [],
    )


def test_what_is_taken_stays_until_it_is_finished(journal: Journal) -> None:
    commands = journal.commands
    commands.append("a", BTC, "close", "a test", 5)
    (asked,) = commands.pending(BTC)
    assert commands.take(asked, 10)
    assert not commands.withdraw("a", "too late", 11)
    (taken,) = commands.pending(BTC)
    assert commands.take(taken, 20), "after a kill"
    commands.report(taken, "not yet")
    (again,) = commands.pending(BTC)
    assert (again.state, again.taken_at, again.result) == ("taken", 10, "not yet")
    commands.finish(again, False, "something is left", 30)
    (done,) = commands.with_keys(["a"])
    assert (done.state, done.finished_at, done.result, done.is_open) == ("failed", 30, "something is left", False)
    assert commands.pending(BTC) == []
    assert not commands.take(again, 40)
    assert [event.text for event in journal.events(BTC, 0, 100)] == ["close from a test: something is left"]


def test_what_is_taken_back_is_taken_by_nobody(journal: Journal) -> None:
    commands = journal.commands
    commands.append("a", BTC, "close", "a test", 5)
    (asked,) = commands.pending(BTC)
    assert commands.withdraw("a", "nobody waits", 6)
    assert not commands.take(asked, 7)
    assert journal.commands.with_keys(["a"])[0].result == "nobody waits"


def test_a_shared_journal_is_asked_and_neither_made_nor_brought_up_to_date(journal: Journal, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    shared = Journal(url, is_shared=True)
    assert shared.commands.append("a", BTC, "pause", "elsewhere", 5)
    assert verbs(journal.commands, BTC) == ["pause"]
    assert [command.verb for command in JournalReader(url).commands.pending(BTC)] == ["pause"]
    with pytest.raises(ConfigError, match="there is no journal"):
        JournalReader(f"sqlite:///{tmp_path / 'none.db'}")
