"""How a member is evaluated: by backtests on rows it did not learn from, and on the training rows to compare."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.agents.autonomous_agent import AutonomousAgent
from src.backtesting.engine import BacktestResult, run_backtest
from src.evaluation.fitness import Fitness, FoldResult, fitness
from src.market.bars import BarSeries
from src.trading.rules import TradingRules
from src.training.population.shared_market import SharedMarket


@dataclass(frozen=True)
class MemberEvaluation:
    """What the backtests of an agent showed.

    Attributes:
        returns: (R,) simple returns a bar over all folds, end to end.
    """

    fitness: Fitness
    folds: tuple[FoldResult, ...]
    training: FoldResult
    returns: NDArray[np.float64]

    def to_plain(self) -> dict[str, Any]:
        """Return what a `Member` keeps of it, by its names."""
        return {
            "fitness": self.fitness.to_plain(),
            "folds": tuple(map(_plain, self.folds)),
            "training": _plain(self.training),
            "returns": self.returns,
        }


def evaluate_member(agent: AutonomousAgent, shared: SharedMarket, rules: TradingRules) -> MemberEvaluation:
    """Trade every fold and the training rows under the given rules."""
    *results, training = trade(agent, shared, rules, [*shared.folds, shared.training])
    folds, learned = tuple(fold_result(result, rules) for result in results), fold_result(training, rules)
    weights = sum(parameter.numel() for parameter in agent.world_model.parameters())
    returns = np.concatenate([result.returns() for result in results])
    return MemberEvaluation(fitness(shared.stage.fitness, folds, learned, weights), folds, learned, returns)


def trade(
    agent: AutonomousAgent, shared: SharedMarket, rules: TradingRules, parts: Sequence[range]
) -> list[BacktestResult]:
    """Trade parts of the traded series, each from a fresh account."""
    agent.prepare(shared.bars)
    prepared = _Prepared(agent)
    return [run_backtest(prepared, shared.bars, rules, rows, prove=False) for rows in parts]


class _Prepared:
    """An agent prepared for the series: otherwise each backtest would prepare it anew, which is most of its time."""

    def __init__(self, agent: AutonomousAgent) -> None:
        self.name, self.warmup_bars, self.act = agent.name, agent.warmup_bars, agent.act

    def prepare(self, bars: BarSeries) -> None:
        """Do nothing."""


def fold_result(result: BacktestResult, rules: TradingRules) -> FoldResult:
    """Measure a backtest; its reward is the log-return or return a bar, whatever the reward's scale."""
    return FoldResult(result.performance(), float(np.mean(result.records.reward)) / rules.reward_scale)


def _plain(fold: FoldResult) -> dict[str, Any]:
    return asdict(fold.performance) | {"reward": fold.reward}
