"""Settings of the live bot: `config/live.yaml` and `config/risk.yaml`, each spelled out there with comments.

Apart from `base.py` because training never reads them. Plain Python only.
"""

from dataclasses import dataclass, field

from src.config.base import Schema, require, require_at_least, require_between


@dataclass
class RiskLimits(Schema):
    """What no model can exceed; read once at start. Null switches a limit off, but for those every bot needs."""

    max_leverage: float = 1.0
    max_position: float = 1_000.0
    max_daily_loss_frac: float | None = 0.05
    max_drawdown_frac: float | None = 0.2
    max_orders_per_hour: int = 6
    price_band_frac: float = 0.2
    max_slippage_frac: float = 0.005
    min_confidence: float = 0.0
    cool_down_bars: int = 0
    kill_switch_file: str = "state/KILL"

    def check(self) -> None:
        require_between("max_leverage", self.max_leverage, 0.0, 100.0)
        require_at_least("max_position", self.max_position, 0.0)
        for name in ("max_daily_loss_frac", "max_drawdown_frac"):
            value = getattr(self, name)
            require(value is None or 0 < value <= 1, f"{name} must lie in (0, 1] or be null, was {value}")
        require_at_least("max_orders_per_hour", self.max_orders_per_hour, 0)
        require(self.price_band_frac > 0, f"price_band_frac must be > 0, was {self.price_band_frac:g}")
        require_between("max_slippage_frac", self.max_slippage_frac, 0.0, 0.5)
        require_between("min_confidence", self.min_confidence, 0.0, 1.0)
        require_at_least("cool_down_bars", self.cool_down_bars, 0)
        require(self.kill_switch_file.strip() != "", "kill_switch_file must name a file")


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
class LiveConfig(Schema):
    """Where the bot trades, where it keeps what it knows, and how it is watched."""

    exchange: str = "binance"
    real_orders: bool = False
    account: str = "main"
    capital: float = 1_000.0
    fee_reserve_frac: float = 0.003
    journal: str = "sqlite:///state/journal.db"
    state_dir: str = "state"
    secrets_file: str | None = None
    settle_s: float = 2.0
    decision_window_frac: float = 0.1
    max_silence_s: float = 900.0
    max_clock_offset_s: float = 30.0
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    base_url: str | None = None
    drift: DriftConfig = field(default_factory=DriftConfig)

    def check(self) -> None:
        require(self.account.strip() != "", "account must not be empty")
        require(self.capital > 0, f"capital must be > 0, was {self.capital:g}")
        require_between("fee_reserve_frac", self.fee_reserve_frac, 0.0, 0.1)
        require_between("settle_s", self.settle_s, 0.0, 60.0)
        require_between("decision_window_frac", self.decision_window_frac, 0.01, 1.0)
        require(self.max_silence_s > 0, f"max_silence_s must be > 0, was {self.max_silence_s:g}")
        require(self.max_clock_offset_s > 0, f"max_clock_offset_s must be > 0, was {self.max_clock_offset_s:g}")
        require_between("http_port", self.http_port, 0, 65_535)
