"""Fault 80: secrets that others could read or plant, and what may be said of those that are mistyped."""

import logging
import os
from pathlib import Path

import pytest

from src.brokerage.redaction import HIDDEN, redact
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.errors import ConfigError
from src.live.assembly import read_options
from src.live.secrets import read_secrets
from src.live.watching.notify import apprise_sender

TOKEN = "bot0815token4711"


def secrets_file(folder: Path, content: bytes = b"api_key = from-the-file-1\n", mode: int = 0o600) -> Path:
    path = folder / "secrets"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        read_secrets(path, {})
    assert "\n" not in str(error.value)
    assert "from-the-file" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o666])
def test_80_a_file_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    assert "chmod 600" in refusal(secrets_file(tmp_path, mode=mode))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_80_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = secrets_file(tmp_path)
    os.chown(path, 12345, -1)
    assert f"belongs to another user (number 12345); run: chown 0 {path}" in refusal(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert "belongs to another user" in refusal(link)


@pytest.mark.parametrize("content", [b"api_key = from-the-file-1\0\n", b"\xff\xfe\x00api", b"a" * 100_000])
def test_80_a_file_that_is_no_text_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    assert "is no file of a few lines of text" in refusal(secrets_file(tmp_path, content))


def test_80_what_is_no_ordinary_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is no ordinary file" in refusal(tmp_path / "pipe")
    assert "cannot be read" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "none")


def test_a_link_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    path, link = secrets_file(tmp_path), tmp_path / "link"
    link.symlink_to(path)
    assert read_secrets(link, {}).keys.api_key == "from-the-file-1"
    path.chmod(0o644)
    assert "chmod 600" in refusal(link)


@pytest.mark.parametrize(
    "url",
    [
        f"tgramm://{TOKEN}/{TOKEN}",
        f"tgram://{TOKEN}",
        f"discord://{TOKEN}",
        f"slack://{TOKEN}/x",
        f"json://user:{TOKEN}@:99999999/",
        TOKEN,
    ],
)
def test_80_a_mistyped_notification_is_not_shown(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError, match="notification URL number 1 is not understood") as error:
        apprise_sender([url])
    captured = capfd.readouterr()
    for text in (str(error.value), caplog.text, captured.out, captured.err):
        assert TOKEN not in text


def test_80_a_part_of_a_notification_url_is_as_secret_as_all_of_it() -> None:
    read_secrets(
        None, {"SUPERTRADER_NOTIFY_URLS": "tgram://987654:AAtoken-x1y2z3/chat discord://hook42424242/other9999"}
    )
    assert redact("Telegram refused AAtoken-x1y2z3") == f"Telegram refused {HIDDEN}"
    assert redact("no hook hook42424242") == f"no hook {HIDDEN}"
    assert redact("telegram and discord were asked") == "telegram and discord were asked"
    read_secrets(None, {"SUPERTRADER_NOTIFY_URLS": "json://127.0.0.1:8080/"})
    assert redact("http://127.0.0.1:8080/health") == "http://127.0.0.1:8080/health"


def test_80_the_password_of_a_journal_is_said_nowhere() -> None:
    url = "postgresql+psycopg://bot:f4r%40way%2Fplace@db.example/journal"
    read_options(("BTC/USDT",), LiveConfig(journal=url), RiskLimits(), Path(), {}, is_live=False, unpromoted=False)
    assert redact(f"the journal {url} cannot be read") == (
        f"the journal postgresql+psycopg://bot:{HIDDEN}@db.example/journal cannot be read"
    )
    assert redact("no role with f4r@way/place") == f"no role with {HIDDEN}"
