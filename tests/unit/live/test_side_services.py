"""Fault 48 and what belongs to it: notifications, health and secrets, none of which can hold up trading."""

import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from src.brokerage.broker_account import Keys
from src.brokerage.redaction import HIDDEN
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import ConfigError, RunLocked
from src.journal.journal import Journal
from src.live.assembly import Options, hold_locks, make_services
from src.live.live_guard import RiskState, limits_hash
from src.live.secrets import Secrets, read_secrets
from src.live.watching.doctor import Finding, examine
from src.live.watching.monitor import Monitor
from src.live.watching.notify import LONGEST_QUEUE, Notifier, apprise_sender
from src.storage import locked
from tests.support.live_setup import HOUR_MS, Recording, RecordingClock, paper_trader, random_rows
from tests.support.waiting import PATIENCE_S, wait_until


def test_errors_are_sent_before_everything_else() -> None:
    sent: list[str] = []
    gate = threading.Event()

    def send(title: str, body: str) -> None:
        gate.wait(PATIENCE_S)
        sent.append(body)

    notifier = Notifier(send)
    notifier.info("first")  # taken at once
    wait_until(lambda: notifier._queue.empty())
    for text in ("a", "b"):
        notifier.info(text)
    notifier.error("fire")
    gate.set()
    notifier.close()
    assert sent == ["first", "fire", "a", "b"]


def test_48_a_service_that_hangs_holds_up_nothing_and_what_is_lost_is_counted() -> None:
    gate, sent = threading.Event(), []
    notifier = Notifier(lambda title, body: (gate.wait(PATIENCE_S), sent.append(body)))
    for number in range(LONGEST_QUEUE + 50):
        notifier.error(str(number))
    notifier.close(timeout_s=0.05)
    assert sent == [], "it was waited for"
    gate.set()
    wait_until(lambda: len(sent) >= 2)
    assert any("messages before this one were lost" in body for body in sent[:2])


def test_a_service_that_fails_is_noted_and_the_next_message_is_sent() -> None:
    sent: list[str] = []

    def send(title: str, body: str) -> None:
        if body == "first":
            raise RuntimeError("no")
        sent.append(body)

    notifier = Notifier(send)
    notifier.info("first")
    wait_until(lambda: notifier._queue.empty())
    notifier.info("second")
    notifier.close()
    assert sent == ["second"]


def test_a_notification_url_that_is_none_is_refused_without_being_quoted() -> None:
    with pytest.raises(ConfigError, match="number 2") as refusal:
        apprise_sender(["json://localhost/", "nonsense-with-a-token"])
    assert "token" not in str(refusal.value)
    assert apprise_sender([]) is None


def test_what_an_exchange_writes_is_no_markup_to_a_service_that_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []

    def post(url: str, data: str, **_: object) -> requests.Response:
        sent.append(json.loads(data))
        taken = requests.Response()
        taken.status_code, taken._content = 200, b'{"ok": true}'
        return taken

    monkeypatch.setattr(requests, "post", post)
    send = apprise_sender(["tgram://123456789:abcdefg_hijklmnop/12315544/"])
    assert send is not None
    assert send("error", "refused: <a href='http://a.b'>why</a>\n3 < 5 & 7, *now*")
    assert sent[0]["text"].splitlines()[1:] == [
        "refused: &lt;a href='http://a.b'&gt;why&lt;/a&gt;",
        "3 &lt; 5 &amp; 7, *now*",
    ]


def test_secrets_come_from_the_environment_before_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "secrets"
    path.write_text(
        "# mine\napi_key = from-the-file-1\n\napi_secret=from-the-file-2\nnotify_urls = json://a json://b\n"
    )
    path.chmod(0o600)
    secrets = read_secrets(path, {"SUPERTRADER_API_KEY": "from-outside-3"})
    assert secrets.keys[:2] == ("from-outside-3", "from-the-file-2")
    assert secrets.notify_urls == ("json://a", "json://b")
    assert "from-outside-3" not in repr(secrets)
    sent: list[str] = []
    notifier = Notifier(lambda title, body: sent.append(body))
    with caplog.at_level(logging.ERROR):
        notifier.error("the key from-outside-3 was refused")
    notifier.close()
    assert sent == [f"the key {HIDDEN} was refused"]
    assert "from-outside-3" not in caplog.text


def test_a_missing_secrets_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secrets(tmp_path / "none", {})


def test_a_lock_is_held_by_one_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "bot.lock"
    with locked(path, "one"), pytest.raises(RunLocked, match="two"), locked(path, "two"):
        raise AssertionError("two hold the lock")
    with locked(path, "three"):
        pass
    with pytest.raises(ConfigError, match="cannot be written"), locked(Path("/proc/nowhere/bot.lock"), "busy"):
        raise AssertionError("held what cannot be made")


def health_of(monitor: Monitor, port: int) -> tuple[int, list[str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)["reasons"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["reasons"]


def test_health_is_503_with_the_reason_and_metrics_say_the_same(tmp_path: Path) -> None:
    source = Recording(random_rows(100))
    source.now_ms = int(source.rows[80][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source)
    monitor = Monitor([trader], LiveConfig(http_port=0), is_live=False)
    trader.start()
    port = monitor.serve()
    assert health_of(monitor, port) == (200, [])
    text = monitor.metrics().decode()
    assert 'supertrader_equity{symbol="BTC/USDT"} 1000.0' in text
    assert 'supertrader_decisions_total{symbol="BTC/USDT"} 1.0' in text
    assert "supertrader_healthy 1.0" in text
    source.now_ms += 2 * HOUR_MS
    trader.view.clock_offset_ms = 40_000
    trader.escalate(RiskState.HALTED, "a reason")
    code, reasons = health_of(monitor, port)
    assert code == 503
    for words in ("HALTED: a reason", "the last candle closed", "the local clock is -40.0 s off"):
        assert any(words in reason for reason in reasons)
    assert "supertrader_healthy 0.0" in monitor.metrics().decode()
    monitor.close()


def test_48_a_client_that_hangs_holds_up_neither_other_clients_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Recording(random_rows(100))
    source.now_ms = int(source.rows[80][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source)
    monkeypatch.setattr("src.live.watching.monitor.CLIENT_TIMEOUT_S", PATIENCE_S)
    monitor = Monitor([trader], LiveConfig(http_port=0), is_live=False)
    trader.start()
    port = monitor.serve()
    with ExitStack() as hanging:
        for request in (b"", b"GET /hea", b"GET /metrics HTTP/1.1\r\nHost: a\r\n") * 5:
            client = hanging.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
            client.sendall(request)
        assert health_of(monitor, port) == (200, [])
        started = time.monotonic()
        monitor.close()
        assert time.monotonic() - started < PATIENCE_S / 2, "a client was waited for"


def options(folder: Path, journal: str, limits: RiskLimits, key: str = "lock-key-0123") -> Options:
    config = LiveConfig(journal=f"sqlite:///{folder / journal}", state_dir=str(folder / journal[:1]))
    return Options(("BTC/USDT",), config, limits, Secrets(Keys(key, "lock-secret-0123"), ()), folder, True, False)


def test_44_an_account_has_one_bot_whatever_its_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, same = (options(tmp_path, name, RiskLimits()) for name in ("a.db", "b.db"))
    with hold_locks(one), pytest.raises(RunLocked, match="this journal or account"), hold_locks(same):
        raise AssertionError("two bots on one account")
    with hold_locks(one), hold_locks(options(tmp_path, "b.db", RiskLimits(), key="another-key-0123")):
        pass


def test_the_doctor_opens_a_journal_to_write_only_while_no_bot_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    asked = options(tmp_path, "a.db", RiskLimits())

    def finding() -> Finding:
        return next(examine(asked, RecordingClock(Recording(random_rows(1)))))

    assert (finding().is_well, finding().text) == (True, f"{asked.config.journal} can be written")
    with hold_locks(asked):
        assert (finding().is_well, finding().text) == (True, f"{asked.config.journal} is written by a bot")
        Path(tmp_path / "a.db").write_bytes(b"garbage")
        assert not finding().is_well


def test_a_change_of_the_limits_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for limits in (RiskLimits(), RiskLimits(), RiskLimits(max_position=2.0)):
        assert "limits have changed" not in caplog.text
        make_services(options(tmp_path, "a.db", limits), threading.Event()).journal.close()
    assert "limits have changed" in caplog.text
    journal = Journal(f"sqlite:///{tmp_path / 'a.db'}")
    assert journal.pinned("risk_sha256") == limits_hash(limits)
    assert [kind for _, kind, _ in journal.events("", 0, 10**15)] == ["limits", "limits"]
