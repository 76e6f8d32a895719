"""`Job`: one agent with the bars, splits and rules it trades under, found by the name a user gave.

A baseline gets the rows and rules a model of the same settings would get, so that the two compare. Models themselves
are in `model_job.py`, which loads torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from src.agents.baselines import BASELINES
from src.config.load import load_training_config, to_plain
from src.config.schema import Source
from src.errors import DataError
from src.market.bars import BarSeries
from src.market.sources import load_bars
from src.market.splits import Splits
from src.reporting.insights import Insights
from src.reporting.pedigree import Pedigree
from src.trading.agent import Agent
from src.trading.rules import TradingRules
from src.trading.terms import make_terms


@dataclass(frozen=True)
class Request:
    """Where models and bars are looked for.

    Attributes:
        data: a file of bars to trade instead of those of the settings.
        config_file, overrides: settings of baselines.
    """

    symbol: str
    checkpoints: Path
    data: Path | None = None
    config_file: Path | None = None
    overrides: Sequence[str] = ()


class Gated(Protocol):
    """A mixture of experts, as reports look at it."""

    @property
    def gates(self) -> NDArray[np.float32]:
        """Weights of the experts at each bar prepared for, (T, E)."""
        ...


class Minded(Protocol):
    """An autonomous agent, as reports look at it."""

    def insights(self, rows: range) -> Insights:
        """Return what it knew at rows of the bars prepared for."""
        ...


@dataclass(frozen=True)
class Job:
    """Everything a backtest needs, and how to speak of it.

    Attributes:
        label: what reports call the agent.
        origin: which role and file, or baseline, was used.
        trained: first and last closing time the model learned from.
        mixture: the agent, if it is one of experts behind a gate.
        mind: the agent, if it knows more of a bar than its features.
        pedigree: how it was bred and judged, if it was.
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
    mixture: Gated | None = None
    mind: Minded | None = None
    pedigree: Pedigree | None = None

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


def make_job(name: str | None, request: Request) -> Job:
    """Find what a name means: a baseline, or a model as `agents.champion.resolve_model` finds it.

    Raises:
        ConfigError: nothing answers to the name, or settings were given for a model.
        DataError: the bars cannot be used, or are too few.
        ModelFileError: there is no model, or it is damaged or made for something else.
    """
    if name is not None and name in BASELINES:
        return baseline_job(name, request)
    from src.commands.model_job import model_job  # loads torch, which baselines do without

    return model_job(name, request)


def baseline_job(name: str, request: Request) -> Job:
    """Gather what a baseline trades from the settings.

    Raises:
        ConfigError: a setting is unknown or impossible.
        DataError: the bars cannot be used, or are too few.
    """
    config = load_training_config(request.overrides, config_file=request.config_file)
    data = config.data if request.data is None else replace(config.data, source=Source.files, path=str(request.data))
    config = replace(config, symbol=request.symbol, data=data)
    bars = load_bars(config.symbol, data, config.seed)
    terms = make_terms(config, bars)
    return _baseline(name, bars, terms.splits, terms.rules, to_plain(config))


def baseline_beside(job: Job, name: str) -> Job:
    """Return a baseline that trades the bars of another job under its rules."""
    return _baseline(name, job.bars, job.splits, job.rules, job.config)


def _baseline(name: str, bars: BarSeries, splits: Splits, rules: TradingRules, config: dict[str, Any]) -> Job:
    agent = BASELINES[name](rules, seed=int(config.get("seed", 0)))
    return Job(agent, name, f"baseline {name}", bars, splits, rules, config, note="baseline")
