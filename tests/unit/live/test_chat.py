"""What a person writes in a messenger, for several symbols: which are meant, and when an answer is due."""

from pathlib import Path

import pytest

from src.journal.commands import Commands
from src.journal.journal import Journal
from src.live.operator.chat import Chat, Request

BTC, ETH, NUMBER = "BTC/USDT", "ETH/USDT", "000651"
USER, OTHER = 1, 2


class HandClock:
    def __init__(self) -> None:
        self.now = 1_000_000_000

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class Talk:
    """A chat, and who writes in it."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.count = HandClock(), 0
        self.commands: Commands = Journal(f"sqlite:///{folder / 'journal.db'}").commands
        codes = iter(("111111", "222222"))
        symbols = [BTC, ETH, NUMBER]
        self.chat = Chat("chat", [USER, OTHER], symbols, self.commands, lambda s: [s], self.clock, lambda: next(codes))

    def write(self, text: str, user: int = USER) -> str:
        self.count += 1
        return self.chat.answer(Request(f"message {self.count}", user, self.clock.now, text))

    def asked(self) -> list[tuple[str, str]]:
        return [(each.symbol, each.verb) for symbol in (BTC, ETH, NUMBER) for each in self.commands.pending(symbol)]


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Talk(tmp_path)


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("/pause", [BTC, ETH, NUMBER]),
        ("/pause ethusdt", [ETH]),
        ("/PAUSE ETH-USDT BTC/USDT btcusdt", [BTC, ETH]),
        ("/pause 000651", [NUMBER]),
    ],
)
def test_a_command_is_for_the_symbols_that_are_named_or_for_all(talk: Talk, text: str, symbols: list[str]) -> None:
    assert not talk.chat.is_waiting
    assert talk.write(text) == ""
    assert talk.asked() == [(symbol, "pause") for symbol in symbols]
    assert talk.chat.is_waiting


def test_a_code_belongs_to_one_person(talk: Talk) -> None:
    assert talk.write("/close 000651").endswith("/close 000651 111111")
    assert talk.write("/close 000651", OTHER).endswith("/close 000651 222222")
    assert "does not hold" in talk.write("/close 000651 222222")
    assert talk.asked() == []
    assert talk.write("/close 000651 222222", OTHER) == ""
    assert talk.asked() == [(NUMBER, "close")]


def test_each_symbol_is_answered_once_and_what_takes_long_is_said_to(talk: Talk) -> None:
    talk.write("/pause BTC/USDT ETH/USDT")
    (btc,), (eth,) = talk.commands.pending(BTC), talk.commands.pending(ETH)
    assert list(talk.chat.answers()) == []
    talk.commands.take(btc, 1)
    talk.commands.finish(btc, True, "paused", 2)
    assert list(talk.chat.answers()) == [(USER, "paused")]
    talk.commands.take(eth, 3)
    talk.commands.report(eth, "an outage")
    talk.clock.sleep(61)
    assert list(talk.chat.answers()) == [(USER, "ETH/USDT: still at it, see /status (an outage)")]
    assert list(talk.chat.answers()) == []
    assert not talk.chat.is_waiting
