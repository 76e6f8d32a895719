"""Champion files for tests of the live bot, and an exchange whose time is the real one."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from src.agents.model_file import ModelFile, model_path, save_model
from src.config.load import load_training_config
from src.signing.signature import public_text, sign
from tests.support.backtest_setup import SETTINGS, make_file
from tests.support.fakes.account_server import AccountServer
from tests.support.fakes.exchange_server import Row

MINUTE_MS = 60_000
KEY, STRANGERS_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2))
VERIFICATION_KEY = public_text(KEY)
CONFIG = load_training_config([*SETTINGS, "environment.action.allow_short=false", "data.timeframe=1m"])


def champion(seed: int = 0, **changes: Any) -> ModelFile:
    """A champion of BTC/USDT on minutes, with random but decided weights; keywords replace what is in its file."""
    file = make_file("autonomous_final", seed, CONFIG)
    return replace(file, **({"symbol": "BTC/USDT", "verdict": "promoted"} | changes))


def short_champion() -> ModelFile:
    """The same with the action space of default settings, which goes short."""
    config = load_training_config([*SETTINGS, "data.timeframe=1m"])
    return replace(make_file("autonomous_final", 0, config), symbol="BTC/USDT", verdict="promoted")


def save_champion(folder: Path, file: ModelFile | None = None) -> Path:
    path = model_path("BTC/USDT", "autonomous_final", folder / "checkpoints")
    save_model(path, file or champion())
    sign(path, path.read_bytes(), KEY)
    return path


class RealTimeServer(AccountServer):
    """Tells the real time, `offset_ms` later."""

    def __init__(self, bars: Sequence[Row], offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms
        super().__init__(bars, 0)

    @property
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms

    @now_ms.setter
    def now_ms(self, value: int) -> None:
        """Real time cannot be set."""


def minutes_until_now(rows: Sequence[Sequence[float]]) -> list[Row]:
    """Move bars to whole minutes, so that two of them are still to come."""
    now = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
    first = now - (len(rows) - 3) * MINUTE_MS
    return [(first + place * MINUTE_MS, *map(float, row[1:])) for place, row in enumerate(rows)]  # type: ignore[misc]
