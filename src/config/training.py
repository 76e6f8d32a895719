"""`TrainingConfig`, the root of all settings of a training run, and which settings a stage takes.

`config/training_sequence.yaml` spells out each field with a comment; a test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from src.config.base import Schema, require, require_at_least
from src.config.data import DataConfig, DataSource, FeaturesConfig
from src.config.model import ModelConfig
from src.config.runtime import RunConfig, RuntimeConfig, TrackingConfig
from src.config.stages.autonomous import AutonomousStageConfig
from src.config.stages.learning import MAMLStageConfig, MoEStageConfig, PPOStageConfig, StageConfig
from src.config.trading import CostsConfig, EnvironmentConfig, RiskConfig
from src.errors import ConfigError
from src.plugins import Pluggable, with_plugins


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


@dataclass(frozen=True)
class StageSettings(Pluggable):
    """What loading a configuration needs to know of a stage algorithm.

    Attributes:
        settings: class of its section in YAML. Its default `algorithm` is the name, its `kind` the kind of policy.
    """

    kind: ClassVar[str] = "stage algorithm"

    name: str = field(init=False, default="")
    settings: type[StageConfig]

    def __post_init__(self) -> None:
        name = self.settings.algorithm
        require(name != "", f"{self.settings.__name__} needs a default for algorithm: the name YAML gives it")
        object.__setattr__(self, "name", name)


def stage_settings(plugins: Iterable[str] = ()) -> dict[str, type[StageConfig]]:
    """Return the settings of every stage algorithm, by the name YAML gives it: the project's and those of plug-ins.

    `src/training/algorithms.py` says how each is trained.

    Raises:
        ConfigError: a plug-in cannot be used, or a name is taken.
    """
    schemas: tuple[type[StageConfig], ...] = (PPOStageConfig, MoEStageConfig, MAMLStageConfig, AutonomousStageConfig)
    known = {schema.algorithm: schema for schema in schemas}
    for name, algorithm in with_plugins({}, StageSettings, plugins).items():
        if known.setdefault(name, algorithm.settings) is not algorithm.settings:
            raise ConfigError(f"plugins: a stage algorithm '{name}' is part of the program; give yours another name")
    return known
