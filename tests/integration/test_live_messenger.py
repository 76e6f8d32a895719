"""Commands from a messenger, over HTTP with a Telegram on this machine: who may, once, and whatever it does."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from src.config.live import TelegramConfig
from src.errors import ConfigError
from src.live.live_guard import RiskState
from src.live.operator import messenger, telegram
from src.live.operator.chat import CONFIRM_WITHIN_MS, HELP, LATE_MS, Chat
from src.live.operator.messenger import Messenger, open_telegram
from src.live.operator.telegram import TelegramApi
from tests.support.fakes.exchange_server import (
    ExchangeServer,
    Fault,
    Reply,
    body,
    cut_connection,
    dripping,
    packed,
    status,
)
from tests.support.fakes.telegram_server import TOKEN, USER, TelegramServer
from tests.support.live_scene import Stage
from tests.support.live_setup import SYMBOL
from tests.support.waiting import wait_until

STRANGER = 666
CODE = "314159"
NONSENSE = [{"update_id": 1}, {"message": None}, "nonsense", 7, {"update_id": "9", "message": {"text": None}}]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)
    monkeypatch.setattr(telegram, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(messenger, "WAIT_S", 0)
    monkeypatch.setattr(messenger, "WAIT_SOON_S", 0)
    monkeypatch.setattr(messenger, "FIRST_RETRY_S", 0.01)


class Scene:
    """A bot that trades, and one that people write to."""

    def __init__(self, stage: Stage, server: TelegramServer) -> None:
        self.stage, self.server = stage, server

    @contextmanager
    def listening(self) -> Iterator[None]:
        def stands(symbol: str) -> list[str]:
            return [f"{symbol}: {self.stage.state.name}\x1b[2J", f"the token is {TOKEN}"]

        journal = self.stage.services.journal
        chat = Chat("telegram", [USER], [SYMBOL], journal.commands, stands, self.stage.clock, lambda: CODE)
        thread = Messenger(TelegramApi(TOKEN, self.server.url), chat)
        try:
            yield
        finally:
            thread.close()

    def reply(self, text: str, user: int = USER, age_s: int = 0) -> str:
        """Write something, let the bot look, and return what it says."""
        before = len(self.server.sent)
        self.server.write(user, text, age_s)
        self.wait_for(lambda: len(self.server.sent) > before)
        assert len(self.server.sent) == before + 1
        assert self.server.sent[-1][0] == user
        return self.server.sent[-1][1]

    def wait_for(self, claim: Callable[[], bool]) -> None:
        def holds() -> bool:
            if self.stage.worker.is_asked():
                self.stage.worker.once()
            return claim()

        wait_until(holds, otherwise="the bot said nothing")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Stage(tmp_path, [1.0]) as stage, TelegramServer(lambda: stage.clock.now_ms() / 1000) as server:
        stage.play(2)
        yield Scene(stage, server)


def test_97_a_position_is_closed_from_a_messenger_once_and_after_a_code(scene: Scene) -> None:
    with scene.listening():
        assert scene.reply("/close btcusdt") == f"to confirm, send within 60 s: /close BTC/USDT {CODE}"
        assert len(scene.stage.server.posts) == 1
        assert scene.reply(f"/close BTC/USDT {CODE}").startswith("BTC/USDT: HALTED; sell")
        assert "that code does not hold" in scene.reply(f"/close BTC/USDT {CODE}")
        assert [order.side for order in scene.stage.server.ours()] == ["BUY", "SELL"]
        assert scene.reply("/resume@tester_bot").startswith("to confirm")
        assert scene.reply(f"/resume {CODE}") == "BTC/USDT: ACTIVE; was HALTED (closed by hand)"
        assert scene.reply("/pause").startswith("BTC/USDT: PAUSED")
        assert scene.stage.state is RiskState.PAUSED
        events = scene.stage.services.journal.events(SYMBOL, 0, 10**14)
        assert [text.split(":")[0] for _, kind, text in events if kind == "command"] == [
            f"{verb} from telegram {USER}" for verb in ("close", "resume", "pause")
        ]
    scene.stage.check()


def test_97_answers_hold_no_secret_and_command_no_terminal(scene: Scene) -> None:
    with scene.listening():
        assert scene.reply("/status") == "BTC/USDT: ACTIVE\\x1b[2J\nthe token is ***"
        assert scene.reply("what now?") == scene.reply("/sell everything") == HELP
        assert scene.reply("/pause BTC/USD") == "symbol 'BTC/USD' is unknown; did you mean 'BTC/USDT'? Valid: BTC/USDT"


@pytest.mark.parametrize(
    ("second", "after_ms"),
    [
        (f"/close {CODE[::-1]}", 0),
        (f"/resume {CODE}", 0),
        (f"/close {CODE}", CONFIRM_WITHIN_MS + 1),
        (f"/close {CODE} 1", 0),
    ],
)
def test_97_a_code_holds_for_what_it_was_given_for_and_a_minute(scene: Scene, second: str, after_ms: int) -> None:
    with scene.listening():
        scene.reply("/close")
        scene.stage.server.now_ms += after_ms
        assert "that code does not hold" in scene.reply(second)
        assert "that code does not hold" in scene.reply(f"/close {CODE}"), "one try for each code"
    assert (len(scene.stage.server.posts), scene.stage.state) == (1, RiskState.ACTIVE)


def test_97_strangers_and_groups_are_ignored_and_named_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    with scene.listening():
        for _ in range(3):
            scene.server.write(STRANGER, "/pause")
        scene.server.write(USER, "/pause", chat={"id": -100, "type": "group"})
        scene.server.write(USER, "/pause", **{"from": {"id": STRANGER}})
        scene.server.faults["getUpdates"] = [lambda reply: reply.payload["result"].extend(NONSENSE)]
        assert scene.reply("hello") == HELP
        assert scene.stage.services.journal.commands.pending(SYMBOL) == []
    assert len(scene.server.sent) == 1
    assert [r.getMessage() for r in caplog.records if "ignored" in r.message] == [
        f"telegram: user {STRANGER}, who may not command this bot, is ignored"
    ]


def test_97_what_was_written_long_ago_is_refused(scene: Scene) -> None:
    scene.server.write(USER, "/pause", age_s=5 * 3600)
    with scene.listening():
        scene.wait_for(lambda: len(scene.server.sent) == 1)
        assert scene.server.sent[0][1] == "that was written 300 minutes ago, by my clock; say it again"
        assert scene.reply(f"/close {CODE}", age_s=LATE_MS // 1000 + 2).startswith("that was written 2 minutes ago")
    assert (scene.stage.state, len(scene.stage.server.posts)) == (RiskState.ACTIVE, 1)


def test_97_a_message_that_is_delivered_again_counts_once(scene: Scene) -> None:
    with scene.listening():
        scene.reply("/close")
        scene.server.write(USER, f"/close {CODE}")
        delivered = scene.server.updates[-1]
        scene.wait_for(lambda: len(scene.server.sent) == 2)
    scene.stage.restart()
    scene.server.updates = [delivered]  # it was not acknowledged before the bot was killed
    with scene.listening():
        scene.wait_for(lambda: len(scene.server.sent) == 3)
    assert scene.server.sent[2] == scene.server.sent[1]
    assert [order.side for order in scene.stage.server.ours()] == ["BUY", "SELL"]


def pause_asked(reply: Reply) -> None:
    reply.status, reply.payload = 429, {"ok": False, "description": "Too Many", "parameters": {"retry_after": 1}}


MISCHIEF: dict[str, Fault] = {
    "cut off": cut_connection,
    "nothing at all": lambda reply: setattr(reply, "is_dropped", True),
    "a byte now and then": dripping,
    "status 500": status(500),
    "another token": status(401),
    "HTML": body(b"<html></html>"),
    "null": body(b"null"),
    "a list": body(b"[]"),
    "no list": body(b'{"ok": true, "result": {"update_id": 5}}'),
    "nested without end": body(b"[" * 100_000),
    "not ok": body(b'{"ok": false, "description": "\\u001b[2J"}'),
    "a gzip bomb": packed(64),
    "a pause": pause_asked,
}


@pytest.mark.parametrize("name", MISCHIEF)
def test_97_whatever_the_messenger_does_it_is_listened_to_again(
    scene: Scene, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.server.faults["getUpdates"] = [MISCHIEF[name]] * 2
    began = time.monotonic()
    with scene.listening():
        assert scene.reply("/pause").startswith("BTC/USDT: PAUSED")
    if name == "a pause":
        assert time.monotonic() - began >= 2
    said = [record.getMessage() for record in caplog.records if "cannot be commanded" in record.message]
    assert len(said) == 1, "a fault is told once, however long it lasts"
    assert TOKEN not in caplog.text
    assert "\x1b" not in caplog.text


def test_97_a_redirect_is_not_followed(scene: Scene) -> None:
    with ExchangeServer([], 0) as elsewhere:

        def redirect(reply: Reply) -> None:
            reply.status, reply.headers = 307, {"Location": f"{elsewhere.url}/bot{TOKEN}/getUpdates"}

        scene.server.faults["getUpdates"] = [redirect] * 2
        with scene.listening():
            scene.reply("/pause")
        assert elsewhere.requests == []


def test_97_an_answer_that_is_not_taken_undoes_nothing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.server.faults["sendMessage"] = [status(502)]
    with scene.listening():
        scene.server.write(USER, "/pause")
        scene.wait_for(lambda: scene.stage.state is RiskState.PAUSED and "an answer was not sent" in caplog.text)
        assert scene.reply("/status").startswith("BTC/USDT: PAUSED")


def test_97_a_bot_that_does_not_obey_is_not_waited_for(scene: Scene) -> None:
    with scene.listening():
        scene.server.write(USER, "/pause")
        wait_until(lambda: scene.stage.services.journal.commands.pending(SYMBOL))
        scene.stage.server.now_ms += 61_000
        wait_until(lambda: scene.server.sent)
        assert scene.server.sent[0][1] == "BTC/USDT: no answer in time, and nothing was done; say it again"
        assert not scene.stage.worker.is_asked()


WRONG = {
    "no token": ([USER], "", None, "telegram.users needs SUPERTRADER_TELEGRAM_TOKEN"),
    "no users": ([], TOKEN, None, "needs telegram.users"),
    "no token of a bot": ([USER], "bot/../secret-0123", None, "is no token of a bot"),
    "another machine": ([USER], TOKEN, "http://example.org", "on this machine"),
}


@pytest.mark.parametrize("name", WRONG)
def test_47_a_messenger_that_is_half_set_up(name: str) -> None:
    users, token, url, said = WRONG[name]
    with pytest.raises(ConfigError, match=said) as error:
        open_telegram(TelegramConfig(users=users, base_url=url), token)
    assert not token or token not in str(error.value)


def test_a_messenger_is_off_by_default() -> None:
    assert open_telegram(TelegramConfig(), "") is None
