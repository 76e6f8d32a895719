"""Generated series that a population learns from beside the real one, and the adversary that chooses them.

They are made from training rows alone (`src/market/synthetic/stressed_market.py`). After each generation an adversary
looks for plausible ones on which the champion does worst (`adversary.py`); the next generation learns from what it
found.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from src.agents.autonomous_agent import AutonomousAgent
from src.backtesting.engine import run_backtest
from src.evaluation.plausibility import discriminative_score
from src.market.bars import BarSeries, FloatArray
from src.market.synthetic.stressed_market import StressedMarket
from src.seeding import generator
from src.training.population.adversary import Adversary, Knobs, stress_of
from src.training.population.shared_market import MarketSeries, SharedMarket, with_higher_costs


class StressedSeries:
    """Generates series from the training rows of the traded symbol.

    Args:
        seed: of the stage; what is drawn is a function of it, the generation and what the adversary has learned.

    Raises:
        DataError: the training rows are too few to learn from.
    """

    def __init__(self, shared: SharedMarket, seed: int) -> None:
        self._shared, self._seed, self._stage = shared, seed, shared.stage
        self._adversary = Adversary(self._stage.adversary)
        self._market = StressedMarket(shared.bars[: shared.training.stop]) if self._stage.stressed else None

    def series(self, generation: int) -> list[MarketSeries]:
        """Return what a generation learns from beside the real series.

        The first is the worst that the adversary has found, or the stress as configured before it has learned. The
        others are drawn as it would propose them: a policy that learns from the worst alone forgets the rest.
        """
        if self._market is None:
            return []
        others = self._adversary.propose(generator(self._seed, "others", generation), self._stage.stressed - 1)
        chosen = [self._adversary.centre if self._adversary.rounds else {}, *others]
        return [
            self._drawn(knobs, generator(self._seed, "stress", generation, place)) for place, knobs in enumerate(chosen)
        ]

    def learn(self, champion: AutonomousAgent, generation: int) -> None:
        """Let the adversary see how the champion does on what it proposes."""
        if self._market is None:
            return
        proposals = self._adversary.propose(generator(self._seed, "adversary", generation))
        outcomes = [self._met(champion, knobs, generation, place) for place, knobs in enumerate(proposals)]
        scores, implausible = zip(*outcomes, strict=True)
        self._adversary.learn(proposals, scores, implausible)

    def figures(self) -> dict[str, float]:
        """Return figures for a tracker."""
        return self._adversary.figures() if self._adversary.rounds else {}

    def state_dict(self) -> dict[str, Any]:
        """Return plain data from which `load_state_dict` continues."""
        return self._adversary.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`."""
        self._adversary.load_state_dict(state)

    def _met(self, champion: AutonomousAgent, knobs: Knobs, generation: int, place: int) -> tuple[float, float]:
        # What the champion earns a bar there, and how easily the market is told from the real one.
        assert self._market is not None
        bars, cost_factor = self._bars(knobs, generator(self._seed, "adversary", generation, place))
        costs = with_higher_costs(self._shared.rules.costs, cost_factor)
        rows = range(self._shared.training.start, len(bars))
        rules = replace(self._shared.rules, costs=costs)
        result = run_backtest(champion.with_costs(costs), bars, rules, rows, prove=False)
        real = self._shared.bars.log_returns[self._shared.training.start : self._shared.training.stop]
        return float(np.mean(result.records.reward)), discriminative_score(_halves(real), _halves(bars.log_returns[1:]))

    def _drawn(self, knobs: Knobs, rng: np.random.Generator) -> MarketSeries:
        bars, cost_factor = self._bars(knobs, rng)
        rows = range(self._shared.training.start, len(bars))
        mind = self._shared.mind.with_costs(with_higher_costs(self._shared.rules.costs, cost_factor))
        return MarketSeries(bars, rows, False, mind.transform_all(bars), cost_factor)

    def _bars(self, knobs: Knobs, rng: np.random.Generator) -> tuple[BarSeries, float]:
        assert self._market is not None
        stress, cost_factor = stress_of(knobs, self._stage.stress)
        return self._market.draw(stress, rng), cost_factor


def _halves(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    middle = len(returns) // 2
    return returns[:middle], returns[middle:]
