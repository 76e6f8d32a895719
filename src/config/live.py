"""Settings of the live bot: `config/live.yaml`, spelled out there with comments.

Apart from `base.py` because training never reads them. Plain Python only.
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import Enum

from src.config.base import Schema, require, require_at_least, require_between, require_currencies


class Execution(Enum):
    """How a decided amount is traded at an exchange."""

    immediate = "immediate"
    limit_then_immediate = "limit_then_immediate"
    post_only = "post_only"


class Candles(Enum):
    """How a bot learns that a candle has finished."""

    poll = "poll"
    stream = "stream"


class PaperFills(Enum):
    """How orders fill on paper."""

    backtest = "backtest"
    exchange = "exchange"


@dataclass
class PaperConfig(Schema):
    """How orders fill on paper: whole and at the open, as in a backtest, or as an exchange would fill them."""

    fills: PaperFills = PaperFills.backtest
    latency_s: float = 1.0
    volume_frac: float = 0.1

    def check(self) -> None:
        require_between("paper.latency_s", self.latency_s, 0.0, 60.0)
        require_between("paper.volume_frac", self.volume_frac, 1e-6, 1.0)


@dataclass
class DriftConfig(Schema):
    """When live bars and results no longer look like what the champion was chosen on."""

    window_bars: int = 500
    input_deviations: float = 3.0
    result_deviations: float = 3.0

    def check(self) -> None:
        require_at_least("drift.window_bars", self.window_bars, 20)
        for name in ("input_deviations", "result_deviations"):
            require(getattr(self, name) > 0, f"drift.{name} must be > 0, was {getattr(self, name):g}")


@dataclass
class TelegramConfig(Schema):
    """Who may command the bot from a messenger."""

    users: list[int] = field(default_factory=list)
    base_url: str | None = None

    def check(self) -> None:
        for user in self.users:
            require(user > 0, f"telegram.users holds {user}, which is no number of a person; groups cannot command")


@dataclass
class LiveConfig(Schema):
    """Where the bot trades, where it keeps what it knows, and how it is watched."""

    exchange: str = "binance"
    real_orders: bool = False
    account: str = "main"
    capital: float = 1_000.0
    capital_by_currency: dict[str, float] = field(default_factory=dict)
    fee_reserve_frac: float = 0.003
    execution: Execution = Execution.immediate
    rest_s: float = 20.0
    paper: PaperConfig = field(default_factory=PaperConfig)
    journal: str = "sqlite:///state/journal.db"
    state_dir: str = "state"
    secrets_file: str | None = None
    verification_key: str | None = None
    candles: Candles = Candles.poll
    settle_s: float = 2.0
    decision_window_frac: float = 0.1
    max_silence_s: float = 900.0
    max_clock_offset_s: float = 30.0
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    base_url: str | None = None
    telegram: TelegramConfig = field(default_factory=TelegramConfig)
    drift: DriftConfig = field(default_factory=DriftConfig)

    def check(self) -> None:
        require(self.account.strip() != "", "account must not be empty")
        require(
            _is_public_key(self.verification_key),
            "verification_key must be what `python -m src.signing` prints where the champion was trained, or null",
        )
        require(self.capital > 0, f"capital must be > 0, was {self.capital:g}")
        require_currencies("capital_by_currency", self.capital_by_currency)
        require_between("fee_reserve_frac", self.fee_reserve_frac, 0.0, 0.1)
        require_between("rest_s", self.rest_s, 1.0, 300.0)
        require_between("settle_s", self.settle_s, 0.0, 60.0)
        require_between("decision_window_frac", self.decision_window_frac, 0.01, 1.0)
        require(self.max_silence_s > 0, f"max_silence_s must be > 0, was {self.max_silence_s:g}")
        require(self.max_clock_offset_s > 0, f"max_clock_offset_s must be > 0, was {self.max_clock_offset_s:g}")
        require_between("http_port", self.http_port, 0, 65_535)

    def capital_in(self, currency: str) -> float:
        """Return what a symbol quoted in a currency starts with."""
        return self.capital_by_currency.get(currency, self.capital)


def _is_public_key(text: str | None) -> bool:
    # Of Ed25519: 32 bytes.
    try:
        return text is None or len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False
