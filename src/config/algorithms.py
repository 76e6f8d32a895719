"""Which settings a stage takes, by its `algorithm`: stages of different types are told apart by that field."""

from src.config.autonomous import AutonomousStageConfig
from src.config.stages import MAMLStageConfig, MoEStageConfig, PPOStageConfig, StageConfig

STAGES: dict[str, type[StageConfig]] = {
    "PPO": PPOStageConfig,
    "MoE": MoEStageConfig,
    "MAML": MAMLStageConfig,
    "Autonomous": AutonomousStageConfig,
}
