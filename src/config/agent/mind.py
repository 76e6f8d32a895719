"""Settings of the mind: what an autonomous agent knows of a bar beyond its features. Rules as in `base.py`."""

from dataclasses import dataclass, field

from src.config.agent.memory import KeyConfig, MemoryConfig
from src.config.agent.reasoning import PatternConfig, RegimeConfig
from src.config.agent.world import WorldConfig
from src.config.base import Schema, require

PARTS = ("regime", "pattern", "memory")  # what can be switched off; the volatility a world model is scaled by stays


def _memory() -> MemoryConfig:
    # A shorter measure of volatility than the memory's own default keeps the history a live bot has to load short.
    return MemoryConfig(capacity=1024, key=KeyConfig(volatility_span_bars=60))


@dataclass
class MindConfig(Schema):
    """Which parts the first agent has, and their settings. Search may switch `regime`, `pattern` and `memory`."""

    regime_on: bool = True
    pattern_on: bool = True
    memory_on: bool = True
    clip: float = 6.0
    regime: RegimeConfig = field(default_factory=RegimeConfig)
    pattern: PatternConfig = field(default_factory=PatternConfig)
    memory: MemoryConfig = field(default_factory=_memory)
    world: WorldConfig = field(default_factory=WorldConfig)

    def check(self) -> None:
        require(self.clip >= 1, f"mind.clip must be >= 1, was {self.clip:g}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are on."""
        return tuple(part for part in PARTS if getattr(self, f"{part}_on"))
