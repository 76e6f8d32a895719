"""Names that nothing answers to: features, symbols, and models that a stage is to start from."""

from pathlib import Path

from src.agents.model_file import model_path
from src.config.base import require
from src.config.training import TrainingConfig
from src.errors import ConfigError, TraderError
from src.features.pipeline import FeaturePipeline
from src.market.sources import require_source
from src.runs.model_content import read_content


def check_names(config: TrainingConfig) -> None:
    """Refuse what is called by a name nothing answers to.

    Raises:
        ConfigError: there is no such feature, or no such model to start from.
        DataError: there is no such symbol, or no file of it.
    """
    FeaturePipeline(config.features.names, config.features.clip, plugins=config.plugins)  # which refuses them
    for symbol in (config.symbol, *config.symbols):
        require_source(symbol, config.data)
    for name, stage in config.sequence.items():
        if stage.init_from is not None and stage.init_from not in earlier_stages(name, config):
            try:
                read_content(start_file(name, stage.init_from, config))
            except TraderError as error:
                raise ConfigError(f"sequence.{name}.init_from='{stage.init_from}': {error}") from error


def refuse_outside_models(config: TrainingConfig) -> None:
    """Refuse stages that start from something else than an earlier stage, as a walk through time has to.

    Raises:
        ConfigError: one does.
    """
    for name, stage in config.sequence.items():
        require(
            stage.init_from is None or stage.init_from in earlier_stages(name, config),
            f"sequence.{name}.init_from='{stage.init_from}' is a model from outside, which may have learned from the "
            "bars that --rolling trades; name an earlier stage of the sequence, or null to start anew",
        )


def earlier_stages(stage: str, config: TrainingConfig) -> list[str]:
    """Return the stages of the sequence that come before one."""
    names = list(config.sequence)
    return names[: names.index(stage)]


def start_file(stage: str, source: str, config: TrainingConfig) -> Path:
    """Return the file that a stage starts from where it is no earlier stage: one named, or a stage published before.

    Raises:
        ConfigError: nothing goes by that name.
    """
    if source.endswith(".pth"):
        return Path(source)
    own, common = (
        model_path(config.symbol, source, folder)
        for folder in (config.run.models_dir, Path(config.run.checkpoints_dir))
    )
    path = own if own.exists() else common
    if not path.exists():
        earlier = ", ".join(earlier_stages(stage, config)) or "none"
        raise ConfigError(
            f"it is no earlier stage of this sequence ({earlier}) and {path} does not exist; name a stage that comes"
            " before, a .pth file, or null to start anew"
        )
    return path
