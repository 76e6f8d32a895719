"""`model_job`: a saved model with the bars it may trade. It trades under the settings in its file."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.mixture_agent import MixtureAgent
from src.agents.model_file import SPLIT_NAMES, ModelFile, load_model, require_match
from src.agents.registry import agent_from_file
from src.commands.job import Job, Request
from src.config.data import DataConfig, DataSource, SplitConfig, SyntheticConfig
from src.errors import ConfigError, ModelFileError
from src.market.bars import BarSeries, symbol_id
from src.market.splits import Splits
from src.reporting.provenance import Provenance
from src.runs.model_choice import resolve_model
from src.trading.rules import TradingRules
from src.trading.setup import split_bars


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
    agent = agent_from_file(file)
    data = _saved_data(file, choice.path, request.data)
    bars = request.bars(data, int(file.config.get("seed", 0)))
    require_match(file, bars.symbol, bars.timeframe)
    return Job(
        agent=agent,
        label=f"{symbol_id(file.symbol)} {file.stage}",
        origin=f"{choice.role} {choice.path}",
        bars=bars,
        splits=_saved_splits(file, bars, data, agent.warmup_bars),
        rules=TradingRules.from_plain(file.rules),
        config=file.config,
        note="" if choice.role == "champion" else f"{choice.role}, not the champion",
        sha256=hashlib.sha256(choice.path.read_bytes()).hexdigest(),
        trained=file.split.get("train", {}).get("time"),
        mixture=agent if isinstance(agent, MixtureAgent) else None,
        mind=agent if isinstance(agent, AutonomousAgent) else None,
        provenance=Provenance.from_dossier(file.dossier, file.verdict, file.lineage, file.evaluations),
    )


def _refuse_settings(request: Request) -> None:
    settings = [override for override in request.overrides if not override.startswith("plugins=")]  # may hold baselines
    if settings or request.config_file is not None:
        given = settings[0] if settings else f"--config {request.config_file}"
        raise ConfigError(f"a model trades under the settings in its file; leave out '{given}' or choose a baseline")


def _saved_data(file: ModelFile, path: Path, other: Path | BarSeries | None) -> DataConfig:
    try:
        plain = dict(file.config["data"])
        data = DataConfig(
            **plain
            | {
                "source": DataSource(plain["source"]),
                "split": SplitConfig(**plain["split"]),
                "synthetic": SyntheticConfig(**plain["synthetic"]),
            }
        )
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise ModelFileError(f"{path} does not say which data it was trained on ({error}); train anew") from error
    if other is None or isinstance(other, BarSeries):
        return data
    columns = data.columns if data.source is DataSource.files else {}
    return DataConfig(source=DataSource.files, path=str(other), columns=columns, split=data.split)


def _saved_splits(file: ModelFile, bars: BarSeries, data: DataConfig, warmup_bars: int) -> Splits:
    # On the data of the training: its very rows. On other data: the same fractions.
    if bars.fingerprint != file.data_fingerprint:
        return split_bars(bars, warmup_bars, data.split)
    train, validation, test = (range(*file.split[name]["rows"]) for name in SPLIT_NAMES)
    return Splits(train, validation, test, range(train.start, test.stop))
