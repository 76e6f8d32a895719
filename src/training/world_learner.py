"""What learning an autonomous agent adds to learning a policy: a world model that foresees what the policy meets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.agents.mind import Mind
from src.config.autonomous import AutonomousStageConfig
from src.models.world_targets import WorldTargets, world_targets
from src.training.all_action_rllib import AllActionLearner
from src.training.base_learner import CURVES, EncodeOnceLearner
from src.training.learner import GroupPPOLearner
from src.training.rl_module import MARKET, START
from src.training.shared_market import Series

_FILE = "world_targets.pt"


def flat_targets(learned: Sequence[Series], mind: Mind, horizons: Sequence[int], context_bars: int) -> WorldTargets:
    """Return what came after each flat row of a `TrainingMarket` of these series; what lies after its rows is unknown.

    Args:
        mind: that filled the matrices; without a part for it the regime ahead is unknown.
        context_bars: rows before the first decision row of each series.
    """
    parts = []
    for series in learned:
        rows = slice(series.rows.start - context_bars, series.rows.stop)
        regimes = mind.probabilities(series.matrix, "regime") if mind.has("regime") else None
        targets = world_targets(series.bars, horizons, regimes)
        parts.append(targets.before(series.rows.stop, horizons).rows(rows))
    return WorldTargets(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def save_targets(targets: WorldTargets, folder: Path) -> None:
    """Write what came after each flat row of a training market into its folder."""
    torch.save(targets._asdict(), folder / _FILE)


def _load_targets(folder: Path) -> WorldTargets:
    return WorldTargets(**torch.load(folder / _FILE, weights_only=True))


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
        stage = self._stage
        assert isinstance(stage, AutonomousStageConfig)
        loss: Tensor = super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)
        if stage.world_loss == 0:
            return loss
        embedding = fwd_out[MARKET]  # (G, T, ...)
        rows = batch[START][:, None] + torch.arange(embedding.shape[1], device=embedding.device)
        policy = self.module[module_id].unwrapped().policy
        foresight = policy.losses(embedding, self._future.rows(rows))
        curves = {
            "world/loss": foresight.total,
            "world/shape_loss": foresight.shape,
            "world/regime_loss": foresight.regime,
        }
        self.metrics.log_dict(
            {name: value.detach() for name, value in curves.items()}, key=(module_id, CURVES), window=1
        )
        total: Tensor = loss + stage.world_loss * foresight.total
        return total


class WorldGroupLearner(WorldLosses, GroupPPOLearner):
    """On sampled accounts."""


class WorldAllActionLearner(WorldLosses, AllActionLearner):
    """On all actions."""
