"""`TrainingConfig`, the root of all settings of a training run, and which settings a stage takes.

`config/training_sequence.yaml` spells out each field with a comment; a test compares the two.
"""

from dataclasses import dataclass, field
from typing import Any

from src.config.base import Schema, require, require_at_least
from src.config.data import DataConfig, DataSource, FeaturesConfig
from src.config.model import ModelConfig
from src.config.runtime import RunConfig, RuntimeConfig, TrackingConfig
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import MAMLStageConfig, MoEStageConfig, PPOStageConfig, StageConfig
from src.config.trading import CostsConfig, EnvironmentConfig, RiskConfig


@dataclass
class TrainingConfig(Schema):
    """Root of `config/training_sequence.yaml`. `sequence` maps stage names to stage settings, in order of execution."""

    plugins: list[str] = field(default_factory=list)
    symbol: str = "SP500"
    symbols: list[str] = field(default_factory=list)
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    environment: EnvironmentConfig = field(default_factory=EnvironmentConfig)
    costs: CostsConfig = field(default_factory=CostsConfig)
    risk: RiskConfig = field(default_factory=RiskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    run: RunConfig = field(default_factory=RunConfig)
    sequence: dict[str, Any] = field(default_factory=dict)

    @property
    def history_bars(self) -> int:
        """Bars before a bar that the models of all stages read, so that all have the same rows to decide on."""
        window = self.model.core.window
        longest: int = max((stage.history_bars(window) for stage in self.sequence.values()), default=window - 1)
        return longest

    def check(self) -> None:
        require(self.symbol.strip() != "", "symbol must not be empty")
        require(all(symbol.strip() for symbol in self.symbols), f"symbols holds an empty name: {self.symbols}")
        if self.symbols and self.data.source is DataSource.files:
            require(
                "{symbol}" in str(self.data.path),
                f"symbols={self.symbols} have to differ in data.path, such as 'data/{{symbol}}_1h.parquet', "
                f"was '{self.data.path}'",
            )
        require_at_least("seed", self.seed, 0)


def stage_settings() -> dict[str, type[StageConfig]]:
    """Return the settings of every stage algorithm, by the name YAML gives it.

    `src/training/algorithms.py` says how each is trained; here is what loading a configuration needs of it.
    """
    schemas: tuple[type[StageConfig], ...] = (PPOStageConfig, MoEStageConfig, MAMLStageConfig, AutonomousStageConfig)
    return {schema.algorithm: schema for schema in schemas}
