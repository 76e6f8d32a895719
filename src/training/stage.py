"""What a stage receives and what it returns, whatever its algorithm."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.agents.model_file import ModelFile, describe_split
from src.agents.registry import AGENT_KINDS
from src.config.model import ModelConfig
from src.config.plain import to_plain
from src.config.stages.learning import StageConfig
from src.config.trading import ActionKind
from src.config.training import TrainingConfig
from src.models.ppo_model import PPOModel
from src.plugins import source_hashes
from src.reporting.tracking import Tracker
from src.runs.run_folder import StageFolder
from src.training.training_data import TrainingData


@dataclass(frozen=True)
class StageContext:
    """Everything a trainer needs; it reads nothing else."""

    name: str
    stage: StageConfig
    config: TrainingConfig
    data: TrainingData
    folder: StageFolder
    tracker: Tracker
    model_path: Path


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
    return AGENT_KINDS[stage.kind].model.from_description(to_plain(model) | sizes | stage.architecture(), seed)


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
        plugins=source_hashes(data.pipeline.plugins),
    )
