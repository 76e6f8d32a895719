"""How an agent is judged: by backtests on stretches it did not learn from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.agents.autonomous_agent import AutonomousAgent
from src.backtesting.engine import BacktestResult, run_backtest
from src.evaluation.fitness import Fitness, Judged, fitness
from src.evaluation.returns import Performance, performance, simple_returns
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
    folds: tuple[Judged, ...]
    training: Judged
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
    folds = [scored(result, rules) for result in results]
    weights = sum(parameter.numel() for parameter in agent.world_model.parameters())
    found = fitness(shared.stage.fitness, folds, scored(training, rules), weights)
    returns = np.concatenate([returns_of(result) for result in results])
    return MemberEvaluation(found, tuple(folds), scored(training, rules), returns)


def trade(
    agent: AutonomousAgent, shared: SharedMarket, rules: TradingRules, stretches: Sequence[range]
) -> list[BacktestResult]:
    """Trade stretches of the traded series, each from a fresh account."""
    agent.prepare(shared.bars)
    prepared = _Prepared(agent)
    return [run_backtest(prepared, shared.bars, rules, rows) for rows in stretches]


class _Prepared:
    """An agent that has seen the series: each backtest would show it anew, and that is most of a backtest's time."""

    def __init__(self, agent: AutonomousAgent) -> None:
        self.name, self.warmup_bars, self.act = agent.name, agent.warmup_bars, agent.act

    def prepare(self, bars: BarSeries) -> None:
        """Do nothing."""


def scored(result: BacktestResult, rules: TradingRules) -> Judged:
    """Measure a backtest; rewards as log-return or return a bar, whatever the reward's scale."""
    return Judged(measured(result), float(np.mean(result.records.reward)) / rules.reward_scale)


def measured(result: BacktestResult) -> Performance:
    """Return the performance of a backtest."""
    return performance(result.records, result.closes, result.bars_per_year, result.initial_equity)


def returns_of(result: BacktestResult) -> NDArray[np.float64]:
    """Return simple returns a bar, (R,), after costs."""
    return simple_returns(np.asarray(result.records.equity, dtype=np.float64), result.initial_equity)


def _plain(judged: Judged) -> dict[str, Any]:
    return asdict(judged.performance) | {"reward": judged.reward}
