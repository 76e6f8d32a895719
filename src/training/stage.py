"""What a stage algorithm is, what a stage receives and what it returns. `algorithms.py` holds the algorithms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from src.agents.model_file import ModelFile, describe_split
from src.agents.registry import agent_kind
from src.config.model import ModelConfig
from src.config.plain import to_plain
from src.config.stages.learning import StageConfig
from src.config.trading import ActionKind
from src.config.training import StageSettings, TrainingConfig
from src.errors import ConfigError
from src.models.ppo_model import PPOModel
from src.plugins import source_hashes
from src.reporting.terminal.progress import RunProgress
from src.reporting.tracking.tracker import Tracker
from src.runs.run_folder import StageFolder, StageResult
from src.trading.prepared_market import PreparedMarket
from src.training.tasks import whole_markets
from src.training.training_data import TrainingData


@dataclass(frozen=True)
class StageInputs:
    """What a stage works on: known before anything is trained.

    Attributes:
        name: its key in `config.sequence`.
        stage: its own section of the configuration, an object of its algorithm's settings class.
        config: the whole configuration.
        markets: what it trains on.
    """

    name: str
    stage: Any
    config: TrainingConfig
    data: TrainingData
    markets: Sequence[PreparedMarket]


@dataclass(frozen=True)
class StageContext(StageInputs):
    """Everything a trainer needs; it reads nothing else.

    Attributes:
        folder: where it keeps its state, and leaves its model as `folder.model`.
        model_path: where that model will be published.
        progress: is told of each step of the stage.
    """

    folder: StageFolder
    tracker: Tracker
    model_path: Path
    progress: RunProgress


class InitialModel(NamedTuple):
    """A model to start from, and the names of its ancestors, itself the last.

    Without description and weights where they are not known before an earlier stage has been trained.
    """

    kind: str
    description: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    features: list[str]
    lineage: list[str]
    evaluations: int = 0  # that chose it, on the validation split


@dataclass(frozen=True)
class StagePlan:
    """What training a stage from its begin to its end would take.

    Attributes:
        work: what it does, such as `PPO, 120 iterations of 16,384 account steps`.
        steps: seconds of a quiet core that each of its steps should take, by the names `RunProgress` is told.
        memory_bytes: beyond what every run needs.
        weights: of the model.
        remarks: further lines.
    """

    work: str
    steps: Mapping[str, float]
    memory_bytes: float
    weights: int
    remarks: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(self.steps.values())


def fresh_model(stage: StageConfig, model: ModelConfig, data: TrainingData, seed: int = 0) -> PPOModel:
    """Build the model a stage trains, with weights drawn from `seed`."""
    action = data.rules.action
    continuous = action.kind is ActionKind.continuous
    sizes = {
        "num_features": len(data.pipeline.columns),
        "num_account_inputs": len(data.rules.account_inputs),
        "num_outputs": 2 if continuous else len(action.targets),
        "continuous": continuous,
    }
    return agent_kind(stage.kind).model.from_description(to_plain(model) | sizes | stage.architecture(), seed)


def make_model_file(
    context: StageContext,
    weights: dict[str, Any],
    description: dict[str, Any],
    evaluations: int,
    validation: dict[str, Any],
    lineage: list[str],
) -> ModelFile:
    """Gather the self-describing file of a trained stage."""
    data = context.data
    return ModelFile(
        kind=context.stage.kind,
        stage=context.name,
        symbol=context.config.symbol,
        timeframe=data.bars.timeframe,
        weights=weights,
        model=description,
        features=data.pipeline.to_plain(),
        rules=data.rules.to_plain(),
        data_fingerprint=data.bars.fingerprint,
        split=describe_split(data.bars, data.splits),
        config=to_plain(context.config),
        evaluations=evaluations,
        validation=validation,
        verdict="not judged: a stage model, selected on the validation split",
        lineage=lineage,
        plugins=source_hashes((*data.pipeline.plugins, *data.rules.plugins)),
    )


def untrained_model(inputs: StageInputs) -> InitialModel:
    """Return the model of a stage before it is trained: its shape is what later stages will start from."""
    model = fresh_model(inputs.stage, inputs.config.model, inputs.data)
    features = list(inputs.config.features.names)
    return InitialModel(inputs.stage.kind, model.describe(), model.state_dict(), features, [])


def learns_anywhere(inputs: StageInputs) -> None:
    """Refuse no settings and no data."""


def starts_anew(inputs: StageInputs, source: InitialModel) -> None:
    """Refuse every model to start from.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(f"{inputs.stage.algorithm} starts from no other model; set it to null")


@dataclass(frozen=True)
class StageAlgorithm(StageSettings):
    """All that the program knows of one way to train a stage.

    Attributes:
        train: trains a stage, or what is left of it, and leaves `context.folder.model`. A Ray session is there.
        plan: what that would take; asked for by `--dry-run` and for the time that is left.
        markets: what it trains on, of the training rows of each symbol and their mirror images.
        check: refuses, before anything is trained, settings and data that it cannot work with.
        check_start: refuses, likewise, a model that it cannot start from.
        hands_over: what later stages will start from, as far as that is known before it is trained.
        ends_in_champion: whether its model is the champion that is traded unless another is named.
    """

    train: Callable[[StageContext], StageResult]
    plan: Callable[[StageInputs], StagePlan]
    markets: Callable[[Any, Sequence[PreparedMarket]], list[PreparedMarket]] = whole_markets
    check: Callable[[StageInputs], None] = learns_anywhere
    check_start: Callable[[StageInputs, InitialModel], None] = starts_anew
    hands_over: Callable[[StageInputs], InitialModel] = untrained_model
    ends_in_champion: bool = False
