"""Text from elsewhere in one line, with nothing in it that a terminal obeys or a reader does not see."""

import pytest

from src.brokerage.redaction import redact
from src.printable import escape

HOSTILE = {
    "a colour": ("\x1b[31mred", r"\x1b[31mred"),
    "a title of the window": ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
    "lines": ("a\nb\rc", r"a\nb\rc"),
    "a separator of lines": ("a\u2028b", r"a\u2028b"),
    "NUL": ("a\0b", r"a\x00b"),
    "an eight-bit command": ("\x9b31m", r"\x9b31m"),
    "the other direction": ("BTC\u202eTDSU", r"BTC\u202eTDSU"),
    "no width": ("BTC\u200b", r"BTC\u200b"),
    "half a character": ("\ud800", r"\ud800"),
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_not_seen_is_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert escape(text).isprintable()


@pytest.mark.parametrize("text", ["", "plain", "1,234.5 €", "Zürich – 東京", "a\\nb"])
def test_what_is_seen_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_a_message_keeps_its_own_lines() -> None:
    assert redact("one\n\x1b[2Jtwo") == "one\n\\x1b[2Jtwo"
