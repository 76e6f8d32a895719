"""From the name a user gave to a `Job`: a baseline, or a model, which `model_job.py` loads with torch.

A baseline gets the rows and rules a model of the same settings would get, so that the two compare.
"""

from dataclasses import replace
from typing import Any

from src.agents.baselines import BASELINES
from src.commands.job import Job, Request
from src.config.data import DataSource
from src.config.load import load_training_config
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
    data = (
        config.data if request.data is None else replace(config.data, source=DataSource.files, path=str(request.data))
    )
    config = replace(config, symbol=request.symbol, data=data)
    bars = load_bars(config.symbol, data, config.seed)
    setup = make_setup(config, bars)
    return _baseline(name, bars, setup.splits, setup.rules, to_plain(config))


def baseline_beside(job: Job, name: str) -> Job:
    """Return a baseline that trades the bars of another job under its rules."""
    return _baseline(name, job.bars, job.splits, job.rules, job.config)


def _baseline(name: str, bars: BarSeries, splits: Splits, rules: TradingRules, config: dict[str, Any]) -> Job:
    agent = BASELINES[name](rules, seed=int(config.get("seed", 0)))
    return Job(agent, name, f"baseline {name}", bars, splits, rules, config, note="baseline")
