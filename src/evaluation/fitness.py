"""`fitness`: the one number a population is bred for, and what it is made of."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from src.config.stages.autonomous import FitnessConfig, Measure
from src.errors import DataError
from src.evaluation.returns import Performance
from src.execution.costs import BPS

_SMALL = 10_000  # weights that cost nothing


@dataclass(frozen=True)
class Judged:
    """One stretch an agent was judged on.

    Attributes:
        performance: net of all costs.
        reward: mean reward of a bar.
    """

    performance: Performance
    reward: float

    def measured(self, measure: Measure) -> float:
        """Return what fitness begins with; an account that never traded, and so has no Sharpe ratio, has 0."""
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


def fitness(config: FitnessConfig, folds: Sequence[Judged], training: Judged, weights: int) -> Fitness:
    """Judge an agent by stretches it did not learn from.

        total = mean(m) - spread * std(m) - overfitting * max(0, m_training - mean(m)) - drawdown * max drawdown
                - turnover * turnover a bar - complexity * max(0, log10(weights / 10,000))

    with m the measure of each fold, after costs.

    Args:
        folds: stretches after the training rows.
        training: the stretch it learned from.
        weights: parameters of its network.

    Raises:
        DataError: there is no fold.
    """
    if not folds:
        raise DataError("fitness needs at least one fold")
    measured = np.array([fold.measured(config.measure) for fold in folds])
    score = float(measured.mean())
    return Fitness(
        score=score,
        spread=config.spread * float(measured.std()),
        overfitting=config.overfitting * max(0.0, training.measured(config.measure) - score),
        drawdown=config.drawdown * max(fold.performance.max_drawdown for fold in folds),
        turnover=config.turnover * float(np.mean([fold.performance.turnover_per_bar for fold in folds])),
        complexity=config.complexity * max(0.0, float(np.log10(max(weights, 1) / _SMALL))),
    )
