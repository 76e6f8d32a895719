"""Settings of the regime classifiers.

Plain Python only, like the rest of the schema.
"""

from dataclasses import dataclass, field
from enum import Enum

from src.config.schema import Schema, require, require_at_least, require_between


class RegimeMethod(Enum):
    """How regimes are told apart."""

    moving_average = "moving_average"
    hidden_markov = "hidden_markov"
    neural_filter = "neural_filter"


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

    method: RegimeMethod = RegimeMethod.neural_filter
    moving_average: MovingAverageConfig = field(default_factory=MovingAverageConfig)
    hidden_markov: HiddenMarkovConfig = field(default_factory=HiddenMarkovConfig)
    neural_filter: NeuralFilterConfig = field(default_factory=NeuralFilterConfig)
    cache_dir: str = "checkpoints/reasoning"
