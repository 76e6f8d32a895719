"""What learning an autonomous agent adds to learning a policy: a world model that learns from the same bars."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.config.stages.autonomous import AutonomousStageConfig
from src.models.world.targets import WorldTargets
from src.training.population.world_targets_file import _load_targets
from src.training.rllib.all_action_learner import AllActionLearner
from src.training.rllib.base_learner import CURVES, EncodeOnceLearner
from src.training.rllib.ppo_learner import GroupPPOLearner
from src.training.rllib.rl_module import EMBEDDING, START


class WorldLosses(EncodeOnceLearner):
    """Adds the world model's losses to the loss of the learner it is mixed into.

    Beside what the base reads, `config.env_config` holds `market_folder`.
    """

    def build(self) -> None:
        super().build()
        targets = _load_targets(Path(self.config.env_config["market_folder"]))
        self._future = WorldTargets(*(column.to(self._device) for column in targets))

    def compute_loss_for_module(
        self, *, module_id: str, config: Any, batch: dict[str, Any], fwd_out: dict[str, Any]
    ) -> Tensor:
        """Return the loss, (), the world model's on embeddings (G, T, D) included."""
        stage = self._stage
        assert isinstance(stage, AutonomousStageConfig)
        loss: Tensor = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        if stage.world_loss == 0:
            return loss
        embedding = fwd_out[EMBEDDING]  # (G, T, ...)
        rows = batch[START][:, None] + torch.arange(embedding.shape[1], device=embedding.device)
        policy = self.module[module_id].unwrapped().policy
        world = policy.losses(embedding, self._future.rows(rows))
        curves = {
            "world/loss": world.total,
            "world/shape_loss": world.shape,
            "world/regime_loss": world.regime,
        }
        self.metrics.log_dict(
            {name: value.detach() for name, value in curves.items()}, key=(module_id, CURVES), window=1
        )
        total: Tensor = loss + stage.world_loss * world.total
        return total


class WorldGroupLearner(WorldLosses, GroupPPOLearner):
    """On sampled accounts."""


class WorldAllActionLearner(WorldLosses, AllActionLearner):
    """On all actions."""
