"""`Job`: one agent with the bars, splits and rules it trades under, and the request it is found by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from src.commands.other_costs import AS_SET, OtherCosts
from src.config.data import DataConfig
from src.config.load import load_training_config
from src.config.runtime import RunConfig
from src.config.training import TrainingConfig
from src.errors import DataError
from src.market.bars import BarSeries
from src.market.sources import load_bars
from src.market.splits import Splits
from src.reporting.insights import Insights
from src.reporting.provenance import Provenance
from src.trading.agent import Agent
from src.trading.rules import TradingRules


@dataclass(frozen=True)
class Request:
    """Where models and bars are looked for.

    Attributes:
        data: bars to trade instead of those of the settings, or a file of them.
        config_file, overrides: settings of baselines, the plug-ins that hold some, and how a file is read.
        costs: to charge instead of those that would be.
    """

    symbol: str
    checkpoints: Path
    data: Path | BarSeries | None = None
    config_file: Path | None = None
    overrides: Sequence[str] = ()
    costs: OtherCosts = AS_SET

    @cached_property
    def settings(self) -> TrainingConfig:
        """What baselines trade under; read when it is first asked for.

        Raises:
            ConfigError: a setting is unknown or impossible.
        """
        return load_training_config(self.overrides, config_file=self.config_file)

    def bars(self, data: DataConfig, seed: int) -> BarSeries:
        """Return the bars to trade: those that were given, or those of the settings.

        Raises:
            DataError: they cannot be used.
        """
        return self.data if isinstance(self.data, BarSeries) else load_bars(self.symbol, data, seed)


class HasExperts(Protocol):
    """A mixture of experts, as reports look at it."""

    @property
    def gates(self) -> NDArray[np.float32]:
        """Weights of the experts at each bar prepared for, (T, E)."""
        ...


class HasInsights(Protocol):
    """An autonomous agent, as reports look at it."""

    def insights(self, rows: range) -> Insights:
        """Return what it knew at rows of the bars prepared for."""
        ...


class Candidate(NamedTuple):
    """Who could be chosen by how it does on sealed bars, and the settings that say where such looks are counted."""

    name: str
    run: RunConfig


@dataclass(frozen=True)
class Job:
    """Everything a backtest needs, and how to speak of it.

    Attributes:
        label: what reports call the agent.
        origin: which role and file, or baseline, was used.
        trained: first and last closing time the model learned from.
        mixture: the agent, if it is one of experts behind a gate.
        mind: the agent, if it knows more of a bar than its features.
        provenance: how it was bred and judged, if it was.
        candidate: None for the project's baselines, by which others are measured.
    """

    agent: Agent
    label: str
    origin: str
    bars: BarSeries
    splits: Splits
    rules: TradingRules
    config: dict[str, Any]
    note: str = ""
    sha256: str = ""
    trained: tuple[int, int] | None = None
    mixture: HasExperts | None = None
    mind: HasInsights | None = None
    provenance: Provenance | None = None
    candidate: Candidate | None = None

    def rows(self, split: str) -> range:
        """Return the rows of a part.

        Raises:
            DataError: it holds fewer than two.
        """
        rows = self.splits.named(split)
        if len(rows) < 2:
            raise DataError(
                f"the {split} split of {self.bars.symbol} holds {len(rows)} bars; choose another split or more data"
            )
        return rows
