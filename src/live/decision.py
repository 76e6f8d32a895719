"""`DecisionMaker`: what is decided at a close, agent -> stations -> sizing; and why, which is told afterwards.

The explanation of an agent costs as much as its decision, and no order needs it. So it is asked for by itself, once the
order is on its way. It is a function of the bars and of what the journal holds of the step: whoever asks for it, the
bot that decided or the one that was started after a kill, gets the same.
"""

from typing import Any, NamedTuple

import numpy as np

from src.agents.streaming_agent import StreamingAgent
from src.execution import scalar
from src.journal.schema import JournaledStep
from src.market.bars import BarSeries
from src.risk.stations.chain import StationChain
from src.risk.stations.sound_decision import SoundDecision
from src.risk.stations.station import ReviewContext
from src.trading.records import MarketState
from src.trading.session import Session


class Decided(NamedTuple):
    """What came of a bar.

    Attributes:
        status: of the journaled step.
        changed: what stations made of the decision, one sentence each; or why there was none.
        saw: what the decision rests on.
        alarm: what is wrong with the model, for people.
    """

    status: str
    changed: list[str]
    saw: dict[str, Any]
    alarm: str = ""


TOO_LATE = Decided("late", ["the candle was seen too late to be decided on; the position is held"], {})
NOT_SETTLED = Decided("unsettled", ["an earlier order is not accounted for yet; the position is held"], {})


class DecisionMaker:
    """Decides for one account.

    Args:
        agent: decides each bar from its trailing window.
        session: holds the account; takes the target that passed the stations.
        stations: what a decision passes on its way.
    """

    def __init__(self, agent: StreamingAgent, session: Session, stations: StationChain) -> None:
        self._agent, self._session, self._stations = agent, session, stations
        self._decided_at = 0  # close of the bar that the agent decided last

    def decide(self, bars: BarSeries, orders_last_hour: int) -> Decided:
        """Decide at the close of the last bar; the order it leads to is the session's pending one.

        Args:
            bars: the agent's history at least.
            orders_last_hour: of all symbols.
        """
        market_state = self._market_state(bars, self._session.account_inputs())
        wanted, confidence = self._ask_agent(bars, market_state)
        reviewed = self._stations.review(wanted, self._context(bars, confidence, orders_last_hour))
        self._session.decide(reviewed.target, reviewed.hold)
        is_unsound = any(change.station == SoundDecision.name for change in reviewed.changes)
        return Decided(
            status="decided",
            changed=[change.sentence for change in reviewed.changes],
            saw={
                "inputs": market_state.account[0].tolist(),  # what the model is told of the account
                "wanted": repr(wanted),
                "confidence": repr(confidence),
            },
            alarm=f"the model wanted an exposure of {wanted} with a confidence of {confidence}" if is_unsound else "",
        )

    def explain(self, step: JournaledStep, bars: BarSeries) -> dict[str, Any]:
        """Return what the agent can tell of a decision; the same whether it has just been made or was made long ago.

        Args:
            step: that was decided on.
            bars: as they were for the decision.
        """
        market_state = self._market_state(bars, np.array(step.saw["inputs"], np.float32))
        if self._decided_at != step.close_time:
            self._ask_agent(bars, market_state)
        return self._agent.explain(market_state)

    def _market_state(self, bars: BarSeries, inputs: Any) -> MarketState:
        return MarketState(len(bars) - 1, int(bars.close_time[-1]), inputs[None])

    def _ask_agent(self, bars: BarSeries, market_state: MarketState) -> tuple[float, float]:
        self._agent.prepare(bars)
        decision = self._agent.act(market_state)
        self._decided_at = market_state.close_time
        return decision.target.item(), decision.confidence.item()

    def _context(self, bars: BarSeries, confidence: float, orders_last_hour: int) -> ReviewContext:
        return ReviewContext(
            scalar,
            self._session.accounts,
            confidence,
            prior_close=bars.close.item(-2),
            orders_last_hour=orders_last_hour,
            rebalance_band=self._session.rules.action.rebalance_band,
        )
