"""From the name a user gave to a `Job`: a baseline, or a model, which `model_job.py` loads with torch.

A baseline gets the rows and rules a model of the same settings would get, so that the two compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src.agents.baselines import BASELINES, Baseline, known_baselines, make_baseline
from src.agents.model_file import model_path
from src.commands.job import Job, Request
from src.config.data import DataSource
from src.config.plain import to_plain
from src.market.bars import BarSeries
from src.market.sources import load_bars
from src.market.splits import Splits
from src.trading.rules import TradingRules
from src.trading.setup import make_setup


def make_job(name: str | None, request: Request) -> Job:
    """Find what a name means: a baseline, or a model as `runs.model_choice.resolve_model` finds it.

    Raises:
        ConfigError: nothing answers to the name, or settings were given for a model.
        DataError: the bars cannot be used, or are too few.
        ModelFileError: there is no model, or it is damaged or made for something else.
    """
    known = baselines_of(name, request)
    if name is not None and name in known:
        return baseline_job(name, request)
    from src.commands.model_job import model_job  # loads torch, which baselines do without

    return model_job(name, request, known)


def baselines_of(name: str | None, request: Request) -> Mapping[str, Baseline]:
    """Return the baselines that a name may mean; settings are read for their plug-ins only where it may be one's.

    Raises:
        ConfigError: a setting is unknown or impossible, or a plug-in cannot be used.
    """
    if name is None or name in BASELINES or name.endswith(".pth"):
        return BASELINES
    if model_path(request.symbol, name, request.checkpoints).exists():
        return BASELINES
    return known_baselines(request.settings.plugins)


def baseline_job(name: str, request: Request) -> Job:
    """Gather what a baseline trades from the settings.

    Raises:
        ConfigError: a setting is unknown or impossible.
        DataError: the bars cannot be used, or are too few.
    """
    config = request.settings
    data = (
        config.data if request.data is None else replace(config.data, source=DataSource.files, path=str(request.data))
    )
    config = replace(config, symbol=request.symbol, data=data)
    bars = load_bars(config.symbol, data, config.seed)
    setup = make_setup(config, bars)
    return _baseline(name, bars, setup.splits, setup.rules, to_plain(config), config.plugins)


def baseline_beside(job: Job, name: str, request: Request) -> Job:
    """Return a baseline that trades the bars of another job under its rules."""
    plugins = () if name in BASELINES else request.settings.plugins
    return _baseline(name, job.bars, job.splits, job.rules, job.config, plugins)


def _baseline(
    name: str, bars: BarSeries, splits: Splits, rules: TradingRules, config: dict[str, Any], plugins: Sequence[str]
) -> Job:
    agent = make_baseline(name, rules, int(config.get("seed", 0)), plugins)
    return Job(agent, name, f"baseline {name}", bars, splits, rules, config, note="baseline")
