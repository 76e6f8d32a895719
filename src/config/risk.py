"""Limits no model can exceed: `config/risk.yaml`, spelled out there with comments.

In force in the bot, and in backtests that name the file. The rules a model brings from its training are `RiskConfig`.
"""

from dataclasses import dataclass, field, replace

from src.config.base import Schema, require, require_at_least, require_between, require_currencies


@dataclass
class RiskLimits(Schema):
    """What no model can exceed; read once at start. Null switches a limit off, but for those every bot needs."""

    max_leverage: float = 1.0
    max_position: float = 1_000.0
    max_position_by_currency: dict[str, float] = field(default_factory=dict)
    max_daily_loss_frac: float | None = 0.05
    max_drawdown_frac: float | None = 0.2
    max_orders_per_hour: int = 6
    price_band_frac: float = 0.2
    max_slippage_frac: float = 0.005
    protective_stop: float | None = 2.0
    min_confidence: float = 0.0
    cool_down_bars: int = 0
    kill_switch_file: str = "state/KILL"

    def check(self) -> None:
        require_between("max_leverage", self.max_leverage, 0.0, 100.0)
        require_at_least("max_position", self.max_position, 0.0)
        require_currencies("max_position_by_currency", self.max_position_by_currency)
        for name in ("max_daily_loss_frac", "max_drawdown_frac"):
            value = getattr(self, name)
            require(value is None or 0 < value <= 1, f"{name} must lie in (0, 1] or be null, was {value}")
        require_at_least("max_orders_per_hour", self.max_orders_per_hour, 0)
        require(self.price_band_frac > 0, f"price_band_frac must be > 0, was {self.price_band_frac:g}")
        require_between("max_slippage_frac", self.max_slippage_frac, 0.0, 0.5)
        stop = self.protective_stop
        require(stop is None or stop == 0 or stop > 1, f"protective_stop must be > 1, 0 or null, was {stop}")
        require_between("min_confidence", self.min_confidence, 0.0, 1.0)
        require_at_least("cool_down_bars", self.cool_down_bars, 0)
        require(self.kill_switch_file.strip() != "", "kill_switch_file must name a file")

    def in_currency(self, currency: str) -> "RiskLimits":
        """Return the limits of a symbol quoted in a currency."""
        return replace(self, max_position=self.max_position_by_currency.get(currency, self.max_position))
