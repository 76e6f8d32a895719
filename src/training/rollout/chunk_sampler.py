"""Chunks of bars drawn at random from a training market: all that learning from all actions needs to be sent.

Draws are a function of (seed, worker, iteration): a resumed run sees the chunks an uninterrupted one sees.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.config.stages.learning import LearningConfig
from src.models.position_grid import linear_terms
from src.seeding import generator, integer_seed
from src.training.rollout.group_rollout import draw_embedding_mask
from src.training.rollout.training_market import TrainingMarket


class ChunkBatch(NamedTuple):
    """G chunks of T = horizon decisions."""

    start: Tensor  # (G,) int64, flat row of the first decision
    log_return: Tensor  # (G, T) float32, of the bar after each decision, in units of reward
    cost_frac: Tensor  # (G, T) float32, cost there per unit of exposure changed, in units of reward
    embedding_mask: Tensor  # (G, 1, d_model), dropout mask on the trunk's output


class ChunkSampler:
    """Draws chunks evenly from all decision rows of all spans.

    Args:
        market: where they come from.
        stage: groups (chunks per draw), horizon and embedding dropout.
        seed: of the run.
        worker: index of the env runner; its draws differ from all others'.
    """

    def __init__(self, market: TrainingMarket, stage: LearningConfig, seed: int, worker: int) -> None:
        self._stage, self._seed, self._worker = stage, seed, worker
        first = np.array([span.first for span in market.spans])
        room = np.array([span.stop for span in market.spans]) - first - stage.horizon
        assert (room > 0).all(), "prepare_data refuses markets shorter than a chunk"
        self._starts = np.concatenate([np.arange(f, f + r) for f, r in zip(first, room, strict=True)])
        self._log_return, self._cost_frac = map(torch.from_numpy, linear_terms(market.tape, market.rules))

    def draw(self, iteration: int, width: int) -> ChunkBatch:
        """Return the chunks of an iteration, on the CPU, with masks for a trunk of that width."""
        rng = generator(self._seed, "chunks", self._worker, iteration)
        start = torch.from_numpy(rng.choice(self._starts, size=self._stage.groups))
        after = start[:, None] + torch.arange(1, self._stage.horizon + 1)
        source = torch.Generator().manual_seed(integer_seed(self._seed, "chunks", self._worker, iteration))
        mask = draw_embedding_mask(self._stage, width, source)
        return ChunkBatch(start, self._log_return[after], self._cost_frac[after], mask)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: draws depend on the iteration alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take `state_dict`."""
