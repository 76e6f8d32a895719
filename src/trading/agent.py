"""The protocol every decision maker implements: baselines, trained policies, the champion."""

from typing import Protocol

from src.market.bars import BarSeries
from src.trading.records import Decision, Observation


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
        """See the series that `Observation.row` will refer to."""
        ...

    def act(self, observation: Observation) -> Decision:
        """Decide for each account."""
        ...
