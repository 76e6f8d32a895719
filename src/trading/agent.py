"""The protocol every decision maker implements: baselines, trained policies, the champion."""

from typing import Any, Protocol, runtime_checkable

from src.market.bars import BarSeries
from src.trading.records import Decision, MarketState


class Agent(Protocol):
    """Turns a closed-bar observation into a target exposure.

    Whatever depends on the bars alone is computed in `prepare`, once and in batch; it must be causal: what `act` uses
    for row t may depend on rows <= t only. `act` adds the account and is called once a bar.
    """

    name: str

    @property
    def warmup_bars(self) -> int:
        """Bars of history before the first row on which `act` may be called."""
        ...

    def prepare(self, bars: BarSeries) -> None:
        """See the series that `MarketState.row` will refer to."""
        ...

    def act(self, market_state: MarketState) -> Decision:
        """Decide for each account."""
        ...


@runtime_checkable
class Explains(Protocol):
    """An agent that can say what a decision rests on."""

    def explain(self, market_state: MarketState) -> dict[str, Any]:
        """Return plain data about the decision `act` takes for this observation.

        `features` maps names to scaled values, in standard deviations of the training bars. The rest is for people:
        what was wanted by how much, and where an agent has them, regime, patterns, memories and imagined profits.
        """
        ...
