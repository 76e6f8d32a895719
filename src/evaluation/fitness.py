"""`fitness`: the number a population is selected by, and the parts it is made of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from src.config.stages.autonomous import FitnessConfig, Measure
from src.errors import DataError
from src.evaluation.returns import Performance
from src.execution.costs import BPS

_SMALL = 10_000  # weights that cost nothing


@dataclass(frozen=True)
class FoldResult:
    """How an agent traded one fold, or the training rows.

    Attributes:
        performance: net of all costs.
        reward: mean reward of a bar.
    """

    performance: Performance
    reward: float

    def value(self, measure: Measure) -> float:
        """Return the figure that fitness is built on; 0 for an account without a Sharpe ratio: it never traded."""
        return self.reward / BPS if measure is Measure.reward else self.performance.sharpe or 0.0


@dataclass(frozen=True)
class Fitness:
    """The number and its parts; penalties are positive and already weighted.

    Attributes:
        score: mean measure over folds.
        total: score less all penalties.
    """

    score: float
    spread: float
    overfitting: float
    drawdown: float
    turnover: float
    complexity: float

    @property
    def total(self) -> float:
        """Fitness; higher is better."""
        return self.score - self.spread - self.overfitting - self.drawdown - self.turnover - self.complexity

    def to_plain(self) -> dict[str, float]:
        """Return the parts and the total."""
        return asdict(self) | {"total": self.total}


def fitness(config: FitnessConfig, folds: Sequence[FoldResult], training: FoldResult, weights: int) -> Fitness:
    """Compute the fitness of an agent from the folds it did not learn from.

        total = mean(m) - spread * std(m) - overfitting * max(0, m_training - mean(m)) - drawdown * max drawdown
                - turnover * turnover a bar - complexity * max(0, log10(weights / 10,000))

    with m the measure of each fold, after costs.

    Args:
        folds: they come after the training rows.
        training: the rows it learned from.
        weights: parameters of its network.

    Raises:
        DataError: there is no fold.
    """
    if not folds:
        raise DataError("fitness needs at least one fold")
    measured = np.array([fold.value(config.measure) for fold in folds])
    score = float(measured.mean())
    return Fitness(
        score=score,
        spread=config.spread * float(measured.std()),
        overfitting=config.overfitting * max(0.0, training.value(config.measure) - score),
        drawdown=config.drawdown * max(fold.performance.max_drawdown for fold in folds),
        turnover=config.turnover * float(np.mean([fold.performance.turnover_per_bar for fold in folds])),
        complexity=config.complexity * max(0.0, float(np.log10(max(weights, 1) / _SMALL))),
    )
