"""Warm start: which model a stage starts from, and whether it can.

`init_from` names an earlier stage of the same sequence, a stage published in the folder of models, or a `.pth` file.
"""

from pathlib import Path

import torch

from src.agents.model_file import ModelFile, load_model
from src.config.base import require
from src.config.model import Trunk
from src.config.training import TrainingConfig
from src.errors import ConfigError
from src.market.bars import symbol_id
from src.models.ppo_model import PPOModel
from src.training.requirements.names import earlier_stages, start_file
from src.training.stage import InitialModel, StageContext, StageInputs, fresh_model


def check_policy_start(inputs: StageInputs, source: InitialModel) -> None:
    """Refuse to start a policy from a model of other networks, or from one that was fed other features.

    Raises:
        ConfigError: saying how they differ.
    """
    require(bool(source.description), "its networks are not known before they are bred; name its .pth file once it is")
    load_initial_weights(fresh_model(inputs.stage, inputs.config.model, inputs.data), source, inputs.config, 0)


def check_ancestor(inputs: StageInputs, source: InitialModel) -> None:
    """Refuse an ancestor whose weights no member could inherit: that works across shapes, but between transformers.

    Raises:
        ConfigError: saying what to change.
    """
    require(source.kind != "moe", "agents inherit from a single transformer and that is a mixture; name another stage")
    require(inputs.config.model.trunk is Trunk.transformer, "agents inherit between transformers; set model.trunk")


def unbred_champion(inputs: StageInputs) -> InitialModel:
    """Return the champion before it is bred: nothing is known of its networks."""
    return InitialModel(inputs.stage.kind, {}, {}, list(inputs.config.features.names), [])


def initial_model(context: StageContext) -> InitialModel | None:
    """Return the model a stage starts from, or None if it starts anew."""
    name = context.stage.init_from
    if name is None:
        return None
    if name in earlier_stages(context.name, context.config):
        return _from_file(context.folder.model_of(name))
    return published_model(context.name, name, context.config)


def published_model(stage: str, source: str, config: TrainingConfig) -> InitialModel:
    """Return the model that a stage starts from where it is no earlier stage: a file, or a stage published before.

    Raises:
        ConfigError: nothing goes by that name.
        ModelFileError: the file is missing or damaged.
    """
    return _from_file(start_file(stage, source, config))


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
