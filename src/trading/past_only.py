"""`PastOnly`: an agent that is never handed a bar after the one it decides on, so it cannot look ahead."""

from src.errors import LookaheadError
from src.market.bars import BarSeries
from src.trading.agent import Agent
from src.trading.records import Decision, MarketState


class PastOnly:
    """Prepares an agent anew at each close, for the bars up to it.

    An agent that says how many trailing bars decide a decision (`history_bars`) is handed those, which is quick.
    Another is handed all there are, which takes time with the square of their number.

    Args:
        agent: decides.
    """

    def __init__(self, agent: Agent) -> None:
        self.name, self._agent = agent.name, agent
        self._history_bars: int | None = getattr(agent, "history_bars", None)

    @property
    def warmup_bars(self) -> int:
        """Those of the agent."""
        return self._agent.warmup_bars

    def prepare(self, bars: BarSeries) -> None:
        """Take note of the series; the agent is not shown it."""
        self._bars = bars

    def act(self, market_state: MarketState) -> Decision:
        """Show the agent what a bot would know at this close, and let it decide.

        Raises:
            LookaheadError: it asks for a bar that is not there yet.
        """
        end = market_state.row + 1
        past = self._bars[end - min(self._history_bars or end, end) : end]
        try:
            self._agent.prepare(past)
            return self._agent.act(market_state._replace(row=len(past) - 1))
        except IndexError as error:
            raise LookaheadError(
                f"{self.name} fails at row {market_state.row} of {self._bars.symbol}, where it is handed the "
                f"{len(past)} bars up to that row and none after it ({error}); a decision may use no later bar"
            ) from error
