"""Settings of the episodic memory, their defaults and bounds; like `base.py`, plain Python only.

Sizes of moves are in multiples of what the market's own recent volatility makes ordinary, so one set of thresholds
serves every symbol and timeframe.
"""

import math
from dataclasses import dataclass, field

from src.config.base import Schema, require, require_at_least, require_between


@dataclass
class KeyConfig(Schema):
    """The embedding under which events are remembered.

    Attributes:
        window_bars: the last returns that make up the key, one dimension each.
        volatility_span_bars: span of the average that returns are measured against.
        clip: bound on a single dimension, in bar volatilities.
    """

    window_bars: int = 6
    volatility_span_bars: int = 250
    clip: float = 8.0

    def check(self) -> None:
        require_at_least("window_bars", self.window_bars, 1)
        require_at_least("volatility_span_bars", self.volatility_span_bars, 2)
        require(1 <= self.clip < math.inf, f"clip must be >= 1 and finite, was {self.clip:g}")


@dataclass
class SignificanceConfig(Schema):
    """What is worth remembering.

    Attributes:
        move_bars: length of the moves that are looked at.
        move_sigmas: a flash crash or rally moves at least so many volatilities of `move_bars` bars.
        trade_sigmas: a large win or loss is a trade that returned at least so many volatilities of its length.
        rare_frac: an action is rare if at most this fraction of the earlier decisions took it.
        decisions_before_rare: earlier decisions needed before one can be called rare.
        outcome_bars: what follows a regime shift or a rare action is measured over so many bars.
    """

    move_bars: int = 2
    move_sigmas: float = 3.0
    trade_sigmas: float = 2.0
    rare_frac: float = 0.02
    decisions_before_rare: int = 200
    outcome_bars: int = 10

    def check(self) -> None:
        for name in ("move_bars", "decisions_before_rare", "outcome_bars"):
            require_at_least(name, getattr(self, name), 1)
        for name in ("move_sigmas", "trade_sigmas"):
            require_between(name, getattr(self, name), 0.0, 1000.0)
        require_between("rare_frac", self.rare_frac, 0.0, 1.0)


@dataclass
class MemoryConfig(Schema):
    """How much is remembered and how it is recalled.

    Attributes:
        capacity: events a look-up can see: the last so many that had ended.
        recalled: events a look-up returns unless told otherwise.
        bandwidth: distance at which similarity has fallen to exp(-1/2); in bar volatilities for keys of `KeyEncoder`.
        half_life_days: age at which an event counts half; null lets none fade.
        recurrence: share of a key that is expected to come back; stored keys are shrunk by it towards 0.
        exact_events: up to so many events every look-up is exact; among all of more, codes are searched first.
    """

    capacity: int = 100_000
    recalled: int = 16
    bandwidth: float = 0.55
    half_life_days: float | None = None
    recurrence: float = 0.85
    exact_events: int = 20_000
    key: KeyConfig = field(default_factory=KeyConfig)
    significance: SignificanceConfig = field(default_factory=SignificanceConfig)

    def check(self) -> None:
        require_at_least("capacity", self.capacity, 1)
        require_between("recalled", self.recalled, 1, 1000)
        require(0 < self.bandwidth < math.inf, f"bandwidth must be > 0 and finite, was {self.bandwidth:g}")
        if self.half_life_days is not None:
            require(self.half_life_days > 0, f"half_life_days must be > 0 or null, was {self.half_life_days:g}")
        require(0 < self.recurrence <= 1, f"recurrence must lie in (0, 1], was {self.recurrence:g}")
        require_at_least("exact_events", self.exact_events, 1000)
