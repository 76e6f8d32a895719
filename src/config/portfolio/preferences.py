"""What a person allows a portfolio: `config/preferences.yaml`, spelled out there with comments.

Read once and never changed; its hash is in every record. `risk.yaml` may only tighten it.
"""

import hashlib
import json
from dataclasses import dataclass

from src.config.base import Schema, require, require_at_least
from src.config.plain import to_plain


@dataclass
class Preferences(Schema):
    """Limits of a portfolio, in fractions of its equity unless said otherwise; null switches one off."""

    stop_loss_frac: float | None = 0.05
    take_profit_frac: float | None = 0.1
    trailing_stop_frac: float | None = None
    exit_bars: int = 20
    max_position_frac: float | None = 0.1
    max_correlation: float | None = 0.7
    correlation_bars: int = 60
    max_sector_frac: float | None = 0.3
    max_gross: float | None = 1.0
    max_net: float | None = 1.0
    min_cash_frac: float | None = 0.1
    max_positions: int | None = 20
    max_daily_loss_frac: float | None = 0.03
    max_drawdown_frac: float | None = 0.2

    def check(self) -> None:
        for name in ("stop_loss_frac", "trailing_stop_frac", "max_daily_loss_frac", "max_drawdown_frac"):
            self._require(name, 0.0, 1.0)
        for name in ("take_profit_frac", "max_position_frac", "max_sector_frac", "max_gross", "max_net"):
            self._require(name, 0.0, 100.0)
        for name in ("min_cash_frac", "max_correlation"):
            value = getattr(self, name)
            require(value is None or 0 <= value <= 1, f"{name} must lie in [0, 1] or be null, was {value}")
        require_at_least("correlation_bars", self.correlation_bars, 10)
        require_at_least("exit_bars", self.exit_bars, 1)
        require(
            self.max_positions is None or self.max_positions >= 1,
            f"max_positions must be >= 1 or null, was {self.max_positions}",
        )

    def _require(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        require(value is None or low < value <= high, f"{name} must lie in ({low:g}, {high:g}] or be null, was {value}")

    @property
    def sha256(self) -> str:
        """Hash of every limit."""
        return hashlib.sha256(json.dumps(to_plain(self), sort_keys=True).encode()).hexdigest()
