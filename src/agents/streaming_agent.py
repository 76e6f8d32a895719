"""`StreamingAgent`: an agent that sees bars as a live bot does, one more at each close and never the whole series.

A decision is made from the trailing `history_bars` alone. So it has the same bits in a backtest of years and in a bot
that started an hour ago; the batch of a plain backtest equals it only up to rounding.
"""

from typing import Any, Protocol, runtime_checkable

from src.market.bars import BarSeries
from src.trading.agent import Agent, Explains
from src.trading.records import Decision, MarketState


class Streamable(Agent, Protocol):
    """An agent whose decisions depend on a bounded number of bars."""

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that determine a decision; older bars may change rounding only."""
        ...


@runtime_checkable
class PreparesLast(Protocol):
    """An agent that can prepare for the last bar alone, which costs less than all of them."""

    def prepare_last(self, bars: BarSeries) -> None:
        """See a series of which only the last row will be asked about."""
        ...


class StreamingAgent:
    """Decides each bar from its trailing window.

    Args:
        agent: is prepared anew with every window.
    """

    def __init__(self, agent: Streamable) -> None:
        self.name, self.history_bars = agent.name, agent.history_bars
        self._agent = agent
        self._prepare = agent.prepare_last if isinstance(agent, PreparesLast) else agent.prepare

    @property
    def warmup_bars(self) -> int:
        """Bars before the first that has a whole window."""
        return self.history_bars - 1

    def prepare(self, bars: BarSeries) -> None:
        """Take note of the series; nothing is computed yet."""
        self._bars = bars

    def act(self, market_state: MarketState) -> Decision:
        """Prepare the window that ends at this row, and decide."""
        window = self._bars[market_state.row + 1 - self.history_bars : market_state.row + 1]
        self._prepare(window)
        return self._agent.act(self._in_window(market_state))

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        """Say what the decision just made rests on, as far as the agent can tell."""
        return self._agent.explain(self._in_window(market_state)) if isinstance(self._agent, Explains) else {}

    def _in_window(self, market_state: MarketState) -> MarketState:
        return market_state._replace(row=self.history_bars - 1)
