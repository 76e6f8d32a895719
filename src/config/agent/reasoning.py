"""Settings of what an agent reads in the market before it decides: regimes and chart patterns."""

from dataclasses import dataclass, field
from typing import Annotated

from src.config.base import OneOf, Schema, require, require_at_least, require_between

REGIME_METHOD_NAMES = ("moving_average", "hidden_markov", "neural_filter")


@dataclass
class MovingAverageConfig(Schema):
    """Moving-average crossover with volatility breakout.

    `trend_threshold` is a gap between averages in typical bar moves; `breakout_ratio` a candle size in typical ones.
    """

    fast_span: int = 10
    slow_span: int = 30
    volatility_bars: int = 8
    trend_threshold: float = 1.3
    breakout_ratio: float = 1.4
    trend_sharpness: float = 1.0
    breakout_sharpness: float = 12.0

    def check(self) -> None:
        require_at_least("moving_average.fast_span", self.fast_span, 1)
        require(
            self.slow_span > self.fast_span,
            f"moving_average.slow_span must be > fast_span={self.fast_span}, was {self.slow_span}",
        )
        require_at_least("moving_average.volatility_bars", self.volatility_bars, 1)
        for name in ("trend_threshold", "breakout_ratio", "trend_sharpness", "breakout_sharpness"):
            require(getattr(self, name) > 0, f"moving_average.{name} must be > 0, was {getattr(self, name):g}")


@dataclass
class HiddenMarkovConfig(Schema):
    """Gaussian hidden Markov model of momentum and candle sizes, fitted by at most `iterations` of EM."""

    momentum_bars: int = 20
    volatility_bars: int = 8
    iterations: int = 100

    def check(self) -> None:
        for name in ("momentum_bars", "volatility_bars", "iterations"):
            require_at_least(f"hidden_markov.{name}", getattr(self, name), 1)


@dataclass
class NeuralFilterConfig(Schema):
    """Bayes filter whose likelihoods are a network, trained on `market_paths` generated paths of `market_bars` bars.

    Each of `steps` updates looks at `batch` stretches of `bars` bars. `unit_spread` is how wrong the assumed size of a
    candle is in training, as a standard deviation of its logarithm.
    """

    hidden_dim: int = 32
    market_paths: int = 256
    market_bars: int = 2048
    steps: int = 400
    batch: int = 64
    bars: int = 256
    lr: float = 1e-2
    weight_decay: float = 1e-4
    unit_spread: float = 0.05
    seed: int = 0

    def check(self) -> None:
        for name in ("hidden_dim", "market_paths", "steps", "batch"):
            require_at_least(f"neural_filter.{name}", getattr(self, name), 1)
        require_at_least("neural_filter.bars", self.bars, 64)
        require(
            self.market_bars >= self.bars,
            f"neural_filter.market_bars must be >= bars={self.bars}, was {self.market_bars}",
        )
        require(0 < self.lr <= 1, f"neural_filter.lr must lie in (0, 1], was {self.lr:g}")
        require_between("neural_filter.weight_decay", self.weight_decay, 0.0, 100.0)
        require_between("neural_filter.unit_spread", self.unit_spread, 0.0, 1.0)
        require_at_least("neural_filter.seed", self.seed, 0)


@dataclass
class RegimeConfig(Schema):
    """Which classifier, its settings, and the folder that keeps trained weights for the next time."""

    method: Annotated[str, OneOf("regime module", REGIME_METHOD_NAMES)] = "neural_filter"
    moving_average: MovingAverageConfig = field(default_factory=MovingAverageConfig)
    hidden_markov: HiddenMarkovConfig = field(default_factory=HiddenMarkovConfig)
    neural_filter: NeuralFilterConfig = field(default_factory=NeuralFilterConfig)
    cache_dir: str = "checkpoints/reasoning"


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
