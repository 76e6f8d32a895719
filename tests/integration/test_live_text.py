"""What an exchange writes is shown, never obeyed: ids and messages that would command a terminal or forge a line."""

import logging
from pathlib import Path

import pytest

from src.brokerage.redaction import RedactingFormatter
from src.journal.inspection import status
from src.journal.inspection_text import status_lines
from src.live.live_guard import RiskState
from src.live.watching.monitor import Monitor
from tests.support.fakes.exchange_server import Reply
from tests.support.live_scene import Stage
from tests.support.live_setup import SYMBOL

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n2026-01-01 00:00:00 INFO all is well\u202e\0"


def refusing(reply: Reply) -> None:
    """Refuse in words that are no JSON, which would be escaped already."""
    reply.status, reply.body = 400, HOSTILE.encode()


def everything_said(stage: Stage, log: pytest.LogCaptureFixture) -> list[str]:
    formatter = RedactingFormatter(logging.Formatter("%(message)s"))
    found = status(stage.services.journal, SYMBOL)
    assert found is not None
    events = stage.services.journal.events(SYMBOL, 0, 10**14)
    return [
        *(formatter.format(record) for record in log.records if record.name.startswith("src.")),
        *stage.messages.errors,
        *status_lines(found),
        *(text for _, _, text in events),
        *Monitor([stage.trader], stage.config, is_live=True).complaints(),
        stage.trader.guard.reason,
    ]


def test_79_the_id_of_a_stranger_s_order_is_shown_and_not_obeyed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Stage(tmp_path, [1.0, 1.0]) as stage:
        stage.play(1)
        stage.server.trade_by_hand("BUY", "0.2", client_id=HOSTILE)
        stage.play(1)
        assert stage.state is RiskState.REDUCING
        said = everything_said(stage, caplog)
    assert any(r"\x1b]0;owned\x07\x1b[2J\r\n2026" in text for text in said)
    assert [text for text in said if not text.isprintable()] == []


@pytest.mark.parametrize("endpoint", ["order", "account", "klines", "time", "myTrades"])
def test_79_the_message_of_a_refusal_is_shown_and_not_obeyed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, endpoint: str
) -> None:
    with Stage(tmp_path, [1.0, 0.0]) as stage:
        stage.play(1)
        stage.server.faults[endpoint] = [refusing] * 10
        stage.play(1)
        said = everything_said(stage, caplog)
    assert any(r"\x1b]0;owned\x07" in text for text in said)
    assert [text for text in said if not text.isprintable()] == []
