"""A server's folder and an exchange on this machine, for tests of the live bot's command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live_champion import VERIFICATION_KEY, RealTimeServer, minutes_until_now, save_champion
from tests.support.live_command import ACKNOWLEDGED, KEYS, write_settings
from tests.support.live_setup import random_rows


@pytest.fixture
def server() -> Iterator[RealTimeServer]:
    with RealTimeServer(minutes_until_now(random_rows(760, sigma=1e-4))) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, server: RealTimeServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a champion and settings that lead to the exchange on this machine."""
    monkeypatch.chdir(tmp_path)
    for name in (*ACKNOWLEDGED, *KEYS):
        monkeypatch.delenv(name, raising=False)
    save_champion(tmp_path)
    (tmp_path / "config").mkdir()
    write_settings(
        tmp_path, base_url=server.url, decision_window_frac=1.0, http_port=0, verification_key=VERIFICATION_KEY
    )
    (tmp_path / "config/risk.yaml").write_text("max_position: 1000000.0\n")
    return tmp_path
