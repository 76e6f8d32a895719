"""`model_job`: a saved model with the bars it may trade. It trades under the settings in its file."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mixture_agent import MixtureAgent
from src.agents.model_file import SPLIT_NAMES, ModelFile, load_model, require_match
from src.agents.registry import agent_from_file
from src.commands.job import Candidate, Job, Request
from src.config.data import DataConfig, DataSource
from src.config.plain import from_plain, to_plain
from src.errors import ConfigError, ModelFileError
from src.market.bars import BarSeries, symbol_id
from src.market.splits import Splits
from src.reporting.provenance import Provenance
from src.runs.model_choice import resolve_model
from src.trading.rules import TradingRules
from src.trading.setup import split_bars

_INSTEAD = "choose a baseline; --costs charges other costs, and with --data, data.columns says how to read it"


def model_job(name: str | None, request: Request, other_names: Iterable[str]) -> Job:
    """Load a model and its bars; without a name the champion, or the newest stage model while there is none.

    Args:
        other_names: of baselines, for the hint where nothing answers to the name.

    Raises:
        ConfigError: nothing answers to the name, or settings were given, which a model brings itself.
        DataError: the bars cannot be used, or are too few.
        ModelFileError: there is no model, or it is damaged or made for something else.
    """
    _refuse_settings(request)
    choice = resolve_model(request.symbol, name, request.checkpoints, sorted(other_names))
    file = load_model(choice.path)
    require_match(file, request.symbol, file.timeframe)
    rules = TradingRules.from_plain(file.rules)
    rules = replace(rules, costs=request.costs.in_place_of(rules.costs))
    agent = agent_from_file(replace(file, rules=rules.to_plain()))
    if request.costs.values and isinstance(agent, AutonomousAgent):  # may see what trading costs
        agent = agent.with_costs(rules.costs)
    data = _data(file, choice.path, request)
    bars = request.bars(data, int(file.config.get("seed", 0)))
    require_match(file, bars.symbol, bars.timeframe)
    sha256 = hashlib.sha256(choice.path.read_bytes()).hexdigest()
    return Job(
        agent=agent,
        label=f"{symbol_id(file.symbol)} {file.stage}{request.costs.label}",
        origin=f"{choice.role} {choice.path}",
        bars=bars,
        splits=_saved_splits(file, bars, data, agent.warmup_bars),
        rules=rules,
        config=file.config,
        note="" if choice.role == "champion" else f"{choice.role}, not the champion",
        sha256=sha256,
        trained=file.split.get("train", {}).get("time"),
        mixture=agent if isinstance(agent, MixtureAgent) else None,
        mind=agent if isinstance(agent, AutonomousAgent) else None,
        provenance=Provenance.from_dossier(file.dossier, file.verdict, file.lineage, file.evaluations),
        candidate=Candidate(file.dossier.get("run", sha256), request.settings.run),  # a champion as its gate knows it
    )


def _refuse_settings(request: Request) -> None:
    # Plug-ins may hold baselines, a file of the user's own is read as they say, and `run` says where looks are counted.
    how_to_read = isinstance(request.data, Path)
    settings = [text for text in request.overrides if not text.startswith(("plugins=", "run."))]
    if refused := [text for text in settings if not (how_to_read and _setting_of_a_file(text))]:
        raise ConfigError(f"a model trades under the settings in its file; leave out '{refused[0]}' or {_INSTEAD}")
    if request.config_file is not None:
        raise ConfigError(
            f"a model trades under the settings in its file; leave out '--config {request.config_file}' or {_INSTEAD}"
        )


def _setting_of_a_file(override: str) -> str:
    # The setting of `data` that says how a file is read, or nothing.
    section, _, setting = override.partition("=")[0].partition(".")
    name = setting.partition(".")[0]
    return name if section == "data" and name not in ("source", "path", "exchange", "split", "synthetic") else ""


def _data(file: ModelFile, path: Path, request: Request) -> DataConfig:
    # Another file is read as those of the training were, and as the request says.
    saved = _saved_data(file, path)
    if not isinstance(request.data, Path):
        return saved
    likewise = saved if saved.source is DataSource.files else DataConfig(split=saved.split)
    given = {name for text in request.overrides if (name := _setting_of_a_file(text))}
    return replace(
        likewise,
        **{"timeframe": None, "start": None, "end": None}
        | {name: getattr(request.settings.data, name) for name in given}
        | {"source": DataSource.files, "path": str(request.data)},
    )


def _saved_data(file: ModelFile, path: Path) -> DataConfig:
    # Settings that are younger than the file are at their defaults.
    try:
        return from_plain(DataConfig, to_plain(DataConfig()) | file.config["data"])
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{path} does not say which data it was trained on ({error}); train anew") from error


def _saved_splits(file: ModelFile, bars: BarSeries, data: DataConfig, warmup_bars: int) -> Splits:
    # On the data of the training: its very rows. On other data: the same fractions.
    if bars.fingerprint != file.data_fingerprint:
        return split_bars(bars, warmup_bars, data.split)
    train, validation, test = (range(*file.split[name]["rows"]) for name in SPLIT_NAMES)
    return Splits(train, validation, test, range(train.start, test.stop))
