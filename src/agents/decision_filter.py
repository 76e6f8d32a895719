"""`PatientAgent`: follows another agent's wishes only if they are sure enough, and not more often than wanted.

Going flat is always followed.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from src.market.bars import BarSeries
from src.trading.agent import Agent
from src.trading.records import Decision, MarketState


class PatientAgent:
    """Keeps the last target unless the new one is sure enough and `cool_down_bars` bars have passed since it changed.

    Args:
        agent: whose wishes they are.
        min_confidence: below this a wish is not followed; 0 follows all.
        cool_down_bars: bars a target is kept at least; 0 for none.
    """

    def __init__(self, agent: Agent, min_confidence: float, cool_down_bars: int) -> None:
        self.name, self._agent = agent.name, agent
        self._min_confidence, self._cool_down = min_confidence, cool_down_bars
        self._target: NDArray[np.float64] = np.zeros(1)
        self._waited: NDArray[np.float64] = np.full(1, float(cool_down_bars))

    @property
    def warmup_bars(self) -> int:
        """Those of the agent."""
        return self._agent.warmup_bars

    def prepare(self, bars: BarSeries) -> None:
        """Prepare the agent, and start anew with a flat target."""
        self._agent.prepare(bars)
        self.load_state_dict({"target": 0.0, "waited": float(self._cool_down)})

    def act(self, market_state: MarketState) -> Decision:
        """Decide for each account."""
        decision = self._agent.act(market_state)
        return Decision(self.follow(decision), decision.confidence)

    def follow(self, decision: Decision) -> NDArray[np.float64]:
        """Return the targets to go by, (N,)."""
        sure = (decision.confidence >= self._min_confidence) & (self._waited >= self._cool_down)
        target = np.where(sure | (decision.target == 0), decision.target, self._target)
        changed = target != self._target
        self._target, self._waited = target, np.where(changed, 1.0, self._waited + 1.0)
        return target

    def state_dict(self) -> dict[str, float]:
        """Return what a single account needs to go on."""
        return {"target": float(self._target[0]), "waited": float(self._waited[0])}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from `state_dict`."""
        self._target, self._waited = np.array([state["target"]]), np.array([state["waited"]])
