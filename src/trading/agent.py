"""The protocol every decision maker implements: baselines, trained policies, the champion."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from src.market.bars import BarSeries, FloatArray
from src.trading.records import Decision, MarketState


@runtime_checkable
class Agent(Protocol):
    """Turns a closed-bar observation into a target exposure.

    Whatever depends on the bars alone is computed in `prepare`; it must be causal: what `act` uses for row t may depend
    on rows <= t only. `act` adds the account and is called once a bar. How backtests hold an agent to it is written in
    `backtesting/causality.py`.
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
class KnowsTargets(Agent, Protocol):
    """An agent that never looks at its account and is always sure: its targets (T,) are known once it is prepared."""

    targets: FloatArray


@runtime_checkable
class PreparesAhead(Agent, Protocol):
    """An agent that computes in `prepare`, at once, what decisions on each of T bars rest on.

    An agent that offers this is prepared once a backtest, and proved to look at no later bar; another is prepared anew
    for each decision, with the bars up to it.
    """

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that decide a decision; what is older may change rounding only."""
        ...

    def prepared(self, row: int) -> FloatArray:
        """Return what was made of a bar, (k,), such as the outputs of a network: what decisions on it rest on."""
        ...


@runtime_checkable
class ReadsParts(Agent, Protocol):
    """An agent whose view of a bar is made of parts that can be looked at one by one."""

    @property
    def parts(self) -> Mapping[str, Callable[[BarSeries], FloatArray]]:
        """What it reads of a bar, by name; each returns its own columns, (T, k)."""
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
