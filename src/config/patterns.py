"""Settings of the chart-pattern recognizer.

Plain Python only, like the rest of the schema.
"""

from dataclasses import dataclass, field

from src.config.schema import Schema, require, require_at_least, require_between


@dataclass
class PatternConfig(Schema):
    """A convolutional network that reads the last `scales` bars, trained on generated windows until it knows patterns.

    Each of `steps` updates looks at `batch` new windows, of which `none_frac` hold no pattern; of those
    `pure_walk_frac` are random walks. `noise_low` to `noise_high` is in pattern heights, and an error keeps up to
    `noise_memory` of the one before. A pattern counts as seen where `none` is at most 1 - `threshold` likely.
    """

    scales: list[int] = field(default_factory=lambda: [24, 48, 96, 192])
    threshold: float = 0.5
    width: int = 32
    steps: int = 1400
    batch: int = 128
    lr: float = 8e-3
    weight_decay: float = 1e-2
    none_frac: float = 0.45
    pure_walk_frac: float = 0.4
    noise_low: float = 0.02
    noise_high: float = 0.13
    noise_memory: float = 0.25
    seed: int = 0
    cache_dir: str = "checkpoints/reasoning"

    def check(self) -> None:
        require(
            bool(self.scales) and self.scales == sorted(set(self.scales)),
            f"patterns.scales must be increasing window lengths, was {self.scales}",
        )
        require_at_least("patterns.scales", self.scales[0], 16)
        short = sum(bars < 64 for bars in self.scales)
        require(short <= 4, f"patterns.scales may hold at most 4 windows below 64 bars, were {short}")
        require_between("patterns.threshold", self.threshold, 0.0, 1.0)
        for name in ("width", "steps"):
            require_at_least(f"patterns.{name}", getattr(self, name), 1)
        require_at_least("patterns.batch", self.batch, 2)
        require(0 < self.lr <= 1, f"patterns.lr must lie in (0, 1], was {self.lr:g}")
        require_between("patterns.weight_decay", self.weight_decay, 0.0, 100.0)
        require_between("patterns.none_frac", self.none_frac, 0.01, 0.99)
        require_between("patterns.pure_walk_frac", self.pure_walk_frac, 0.0, 1.0)
        require_between("patterns.noise_low", self.noise_low, 0.0, 1.0)
        require_between("patterns.noise_high", self.noise_high, self.noise_low, 1.0)
        require_between("patterns.noise_memory", self.noise_memory, 0.0, 0.99)
        require_at_least("patterns.seed", self.seed, 0)
