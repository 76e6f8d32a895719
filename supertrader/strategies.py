"""What may trade in a backtest, and how the commands call it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from src.agents.baselines import SeriesAgent, nearest_targets
from src.commands.find_job import MakeAgent
from src.config.trading import ActionConfig
from src.errors import ConfigError, DataError
from src.market.bars import BarSeries, FloatArray
from src.trading.agent import Agent
from supertrader.models import Model

TargetFunction = Callable[[BarSeries], ArrayLike]
Strategy = str | Path | Model | Agent | TargetFunction | pd.Series | Sequence[float]
"""What may trade:

- the name of a baseline, of a stage or an algorithm, or a `.pth` file, as the commands take them;
- a loaded `Model`;
- a function of the bars that returns one target a bar, which must not depend on later bars;
- targets themselves, one a bar: a Series with the index of `bars.to_frame()`, or plain numbers;
- an `Agent`, which decides bar by bar and knows its account.

A target is the exposure wanted at the close of a bar, as a fraction of equity: 1 is fully invested, -1 short.
"""


def resolved(strategy: Strategy) -> str | MakeAgent:
    """Return the name the commands know a strategy by, or what builds its agent."""
    if isinstance(strategy, Model):
        return str(strategy.path)
    if isinstance(strategy, str | Path):
        return str(strategy)
    if isinstance(strategy, Agent):
        agent = strategy
        return lambda rules: agent
    label = label_of(strategy)
    exposures = _exposures(strategy)
    return lambda rules: SeriesAgent(label, rules.action, _within(label, rules.action, exposures))


def label_of(strategy: Strategy) -> str:
    """Return what reports call a strategy unless told otherwise."""
    if isinstance(strategy, Model):
        return f"{strategy.entry.symbol} {strategy.entry.stage}"
    if isinstance(strategy, str | Path):
        return str(strategy)
    name = getattr(strategy, "name", None) or getattr(strategy, "__name__", None)
    return "targets" if name in (None, "<lambda>") else str(name)


def require_one_a_bar(strategy: Strategy, bars: BarSeries) -> None:
    """Refuse targets that are handed over as numbers unless they belong to the bars, one each.

    Raises:
        DataError: saying how many there are, or that they are labelled otherwise.
    """
    if isinstance(strategy, str | Path | Model | Agent) or callable(strategy):
        return
    if len(strategy) != len(bars):
        raise DataError(
            f"{label_of(strategy)}: {len(strategy)} targets for {len(bars)} bars of {bars.symbol}; give one a bar"
        )
    index = strategy.index if isinstance(strategy, pd.Series) else None
    if isinstance(index, pd.DatetimeIndex) and not index.equals(bars.to_frame().index):
        raise DataError(
            f"{label_of(strategy)} is labelled by other times than the bars of {bars.symbol}; "
            "give it the index of bars.to_frame()"
        )


def _exposures(strategy: TargetFunction | ArrayLike) -> Callable[[BarSeries], FloatArray]:
    # What is handed over as numbers is known for the first bars of the series as well.
    if callable(strategy):
        return lambda bars: np.asarray(strategy(bars), dtype=np.float64)
    targets = np.asarray(strategy, dtype=np.float64)
    return lambda bars: targets[: len(bars)]


def _within(
    label: str, action: ActionConfig, exposures: Callable[[BarSeries], FloatArray]
) -> Callable[[BarSeries], FloatArray]:
    # Targets of the user's own are never moved to the nearest allowed one without a word.
    def checked(bars: BarSeries) -> FloatArray:
        targets = exposures(bars)
        if targets.shape == (len(bars),) and np.isfinite(targets).all():
            odd = targets[nearest_targets(action, targets) != targets]
            if len(odd):
                raise ConfigError(
                    f"{label} wants an exposure of {odd[0]:g}, which the actions do not hold; give settings={{"
                    "'environment.action.kind': 'continuous'}, and environment.action.max_leverage where it is above 1"
                )
        return targets

    return checked
