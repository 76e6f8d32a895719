"""Hand-over: which model a stage starts from, and whether it can.

`init_from` names an earlier stage of the same sequence, a stage published in the folder of models, or a `.pth` file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from src.agents.model_file import ModelFile, load_model, model_path
from src.config.base import require
from src.config.model import Trunk
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.training import TrainingConfig
from src.errors import ConfigError, TraderError
from src.market.bars import symbol_id
from src.models.ppo_model import PPOModel
from src.training.stage import StageContext, fresh_model
from src.training.training_data import TrainingData


class InitialModel(NamedTuple):
    """A model to start from, and the names of its ancestors, itself the last."""

    kind: str
    description: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    features: list[str]
    lineage: list[str]
    evaluations: int = 0  # that chose it, on the validation split


def check_warm_starts(config: TrainingConfig, data: TrainingData) -> None:
    """Refuse, before anything is trained, what a stage could not start from once its turn has come.

    Raises:
        ConfigError: a stage starts from one that comes later, from one or a file that does not exist or is damaged,
            from a model of other networks, or from one that was fed other features.
    """
    models: dict[str, PPOModel] = {}
    for name, stage in config.sequence.items():
        if isinstance(stage, AutonomousStageConfig):
            _check_ancestor(name, stage, config)
            continue
        model = fresh_model(stage, config.model, data)
        try:
            if stage.init_from in models:
                earlier = models[stage.init_from]
                kind, features = config.sequence[stage.init_from].kind, list(config.features.names)
                load_initial_weights(
                    model, InitialModel(kind, earlier.describe(), earlier.state_dict(), features, []), config, 0
                )
            elif stage.init_from is not None:
                load_initial_weights(model, _from_file(_published(name, stage.init_from, config)), config, 0)
        except TraderError as error:
            raise ConfigError(f"sequence.{name}.init_from='{stage.init_from}': {error}") from error
        models[name] = model


def _check_ancestor(name: str, stage: AutonomousStageConfig, config: TrainingConfig) -> None:
    # Its agents inherit across shapes, but from a single transformer only.
    if stage.init_from is None:
        return
    earlier = config.sequence[stage.init_from].kind if stage.init_from in _earlier(name, config) else None
    try:
        kind = earlier or _from_file(_published(name, stage.init_from, config)).kind
        require(kind != "moe", "agents inherit from a single transformer and that is a mixture; name another stage")
        require(config.model.trunk is Trunk.transformer, "agents inherit between transformers; set model.trunk")
    except TraderError as error:
        raise ConfigError(f"sequence.{name}.init_from='{stage.init_from}': {error}") from error


def initial_model(context: StageContext) -> InitialModel | None:
    """Return the model a stage starts from, or None if it starts anew."""
    name = context.stage.init_from
    if name is None:
        return None
    is_earlier = name in _earlier(context.name, context.config)
    return _from_file(context.folder.model_of(name) if is_earlier else _published(context.name, name, context.config))


def load_initial_weights(model: PPOModel, source: InitialModel, config: TrainingConfig, seed: int) -> None:
    """Give a model the weights of another; `seed` breaks the symmetry of parts that would start alike.

    Raises:
        ConfigError: the networks or the features differ.
    """
    if source.features != list(config.features.names):
        raise ConfigError(f"that model was fed {', '.join(source.features)}; give features.names the same")
    model.start_from(source.description, source.weights, torch.Generator().manual_seed(seed))


def _from_file(path: Path) -> InitialModel:
    file: ModelFile = load_model(path)
    name = f"{symbol_id(file.symbol)}_{file.stage}"
    return InitialModel(
        file.kind, file.model, file.weights, list(file.features["names"]), [*file.lineage, name], file.evaluations
    )


def _published(stage: str, source: str, config: TrainingConfig) -> Path:
    if source.endswith(".pth"):
        return Path(source)
    path = model_path(config.symbol, source, Path(config.run.checkpoints_dir))
    if not path.exists():
        earlier = ", ".join(_earlier(stage, config)) or "none"
        raise ConfigError(
            f"it is no earlier stage of this sequence ({earlier}) and {path} does not exist; name a stage that comes"
            " before, a .pth file, or null to start anew"
        )
    return path


def _earlier(stage: str, config: TrainingConfig) -> list[str]:
    names = list(config.sequence)
    return names[: names.index(stage)]
