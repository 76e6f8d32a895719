"""From what a user wants traded to a `Job`: a baseline, an agent of their own, or a model, which is loaded with torch.

Whoever is no model gets the rows and rules a model of the same settings would get, so that the two compare. On a file
of the user's own, where no model is beside it, it needs no more bars before the first than it says itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from src.agents.baselines import BASELINES, Baseline, known_baselines, make_baseline
from src.agents.model_file import model_path
from src.commands.job import Candidate, Job, Request
from src.config.data import DataSource
from src.config.plain import to_plain
from src.errors import ConfigError
from src.features.pipeline import FeaturePipeline
from src.market.bars import BarSeries
from src.market.splits import Splits
from src.runs.model_choice import resolve_model
from src.runs.model_content import read_content
from src.trading.agent import Agent
from src.trading.rules import TradingRules
from src.trading.setup import make_setup

MakeAgent = Callable[[TradingRules], Agent]
Strategy = str | MakeAgent  # the name of a baseline or a model, or what builds an agent of the user's own


def make_job(strategy: Strategy | None, request: Request, label: str = "") -> Job:
    """Find what a name means: a baseline, or a model as `runs.model_choice.resolve_model` finds it.

    Args:
        strategy: None stands for the champion, or the newest stage model while there is none.
        request: where to look.
        label: what an agent of the user's own is called.

    Raises:
        ConfigError: nothing answers to the name, or settings were given for a model.
        DataError: the bars cannot be used, or are too few.
        ModelFileError: there is no model, or it is damaged or made for something else.
    """
    if strategy is None or is_model(strategy, request):
        assert not callable(strategy)
        from src.commands.model_job import model_job  # loads torch, which the others do without

        return model_job(strategy, request, baselines_of(strategy, request))
    return jobs_of({label: strategy}, request)[label]


def jobs_by_name(names: Sequence[str], request: Request) -> dict[str, Job]:
    """Return the jobs of a comparison, called by the names as given and by other costs, where some are charged.

    Raises:
        ConfigError: fewer than two names, or one of them twice; further errors are those of `jobs_of`.
    """
    if len(names) < 2:
        raise ConfigError(f"--compare needs at least two names, was {' '.join(names)}; name another, or use --model")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"--compare names {name} {count} times; name each once")
    return jobs_of({f"{name}{request.costs.label}": name for name in names}, request)


def jobs_of(strategies: Mapping[str, Strategy], request: Request) -> dict[str, Job]:
    """Return the job of each strategy by its label; who is no model trades beside the first model, if there is one.

    Raises:
        ConfigError: nothing answers to a name.
        DataError: the bars cannot be used.
        ModelFileError: a model is missing, damaged or made for something else.
    """
    jobs = {label: make_job(one, request) for label, one in strategies.items() if is_model(one, request)}
    others = {label: one for label, one in strategies.items() if label not in jobs}
    if others:
        first = next(iter(jobs.values()), None)
        on = _conditions(list(others.values()), request) if first is None else _beside(first)
        jobs |= {label: _job(one, on, request, label) for label, one in others.items()}
    return {label: jobs[label] for label in strategies}


def require_found(names: Iterable[str | None], request: Request) -> None:
    """Refuse names that nothing answers to and files that hold no sound model, before what is heavy is loaded.

    Raises:
        ConfigError, ModelFileError: as `make_job`.
    """
    for name in names:
        if name is None or is_model(name, request):
            others = sorted(baselines_of(name, request))
            read_content(resolve_model(request.symbol, name, request.checkpoints, others).path)


def is_model(strategy: Strategy, request: Request) -> bool:
    """Say whether a strategy is to be looked for among models.

    Raises:
        ConfigError: as `baselines_of`.
    """
    return not callable(strategy) and strategy not in baselines_of(strategy, request)


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


class _Conditions(NamedTuple):
    """What is traded, and how."""

    bars: BarSeries
    splits: Splits
    rules: TradingRules
    config: dict[str, Any]


def _beside(job: Job) -> _Conditions:
    return _Conditions(job.bars, job.splits, job.rules, job.config)


def _conditions(strategies: Sequence[Strategy], request: Request) -> _Conditions:
    # As the settings want them.
    costs = request.costs.in_place_of(request.settings.costs)
    config = replace(request.settings, symbol=request.symbol, costs=costs)
    if isinstance(request.data, Path):
        config = replace(config, data=replace(config.data, source=DataSource.files, path=str(request.data)))
    FeaturePipeline(config.features.names, config.features.clip, plugins=config.plugins)  # refuses wrong names
    bars = request.bars(config.data, config.seed)
    warmup_bars = None
    if isinstance(request.data, Path):
        rules = make_setup(config, bars, 0).rules
        warmup_bars = max(_agent(one, rules, config.seed, request).warmup_bars for one in strategies)
    setup = make_setup(config, bars, warmup_bars)
    return _Conditions(bars, setup.splits, setup.rules, to_plain(config))


def _job(strategy: Strategy, on: _Conditions, request: Request, label: str) -> Job:
    agent = _agent(strategy, on.rules, int(on.config.get("seed", 0)), request)
    if callable(strategy):
        return Job(agent, label, f"own strategy {label}", *on, note="own strategy")
    candidate = None if strategy in BASELINES else Candidate(f"baseline {strategy}", request.settings.run)
    label = f"{strategy}{request.costs.label}"
    return Job(agent, label, f"baseline {strategy}", *on, note="baseline", candidate=candidate)


def _agent(strategy: Strategy, rules: TradingRules, seed: int, request: Request) -> Agent:
    if callable(strategy):
        return strategy(rules)
    return make_baseline(strategy, rules, seed, () if strategy in BASELINES else request.settings.plugins)
