"""What a stage receives and what it returns, whatever its algorithm."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.agents.champion import ModelFile, describe_split
from src.config.load import to_plain
from src.config.schema import StageConfig, TrainingConfig
from src.reporting.tracking import Tracker
from src.training.checkpoint import StageFolder
from src.training.prepare import TrainingData


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


@dataclass(frozen=True)
class StageResult:
    """What the summary shows and `result.json` holds."""

    model_path: Path
    iterations: int
    evaluations: int
    env_steps: int
    train_seconds: float
    validation: dict[str, Any]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "model_path": str(self.model_path)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "StageResult":
        """Rebuild from `to_plain`."""
        return cls(**{**plain, "model_path": Path(plain["model_path"])})


def make_model_file(
    context: StageContext,
    weights: dict[str, Any],
    description: dict[str, Any],
    evaluations: int,
    validation: dict[str, Any],
) -> ModelFile:
    """Gather the self-describing file of a trained stage."""
    data = context.data
    return ModelFile(
        kind=context.stage.algorithm.lower(),
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
        lineage=[],
    )
