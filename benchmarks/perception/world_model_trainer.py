"""Training of a world model by itself: what comes next teaches it, no action is taken.

A plain loop without ray. The end of every series is held back; what is trained on ends before it, futures included, and
the best weights by its loss are those that stay.
"""

import copy
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from src.config.base import Schema, require, require_at_least, require_between
from src.models.world.targets import WorldLoss, WorldTargets
from src.models.world_model import TransformerWorldModel
from src.seeding import seeded_torch
from src.training.pretraining.series_chunks import WorldChunks, WorldSeries, split_series

logger = logging.getLogger(__name__)

_GRAD_CLIP = 1.0
_WARMUP_FRAC = 0.2


@dataclass
class WorldTrainingConfig(Schema):
    """How a world model is trained by itself.

    Attributes:
        epochs: at most; each sees about every training bar once.
        batch: chunks per step.
        chunk_bars: bars predicted per chunk.
        lr: peak learning rate of AdamW.
        weight_decay: of AdamW.
        validation_frac: share of each series, at its end, that training never sees and that stops it.
        patience: epochs without a better validation loss before it stops.
    """

    epochs: int = 60
    batch: int = 16
    chunk_bars: int = 64
    lr: float = 0.003
    weight_decay: float = 0.1
    validation_frac: float = 0.15
    patience: int = 8

    def check(self) -> None:
        for name in ("epochs", "batch", "chunk_bars", "patience"):
            require_at_least(f"world_training.{name}", getattr(self, name), 1)
        require(0 < self.lr <= 1, f"world_training.lr must lie in (0, 1], was {self.lr:g}")
        require_between("world_training.weight_decay", self.weight_decay, 0.0, 100.0)
        require_between("world_training.validation_frac", self.validation_frac, 0.01, 0.5)


class EpochLoss(NamedTuple):
    """Means over an epoch, nats."""

    training: float
    validation: float
    validation_nll: tuple[float, ...]  # per horizon


class WorldTraining(NamedTuple):
    """What training did."""

    epochs: tuple[EpochLoss, ...]
    best_epoch: int  # whose weights the model has


def train_world_model(
    model: TransformerWorldModel,
    series: Sequence[WorldSeries],
    settings: WorldTrainingConfig,
    generator: torch.Generator,
) -> WorldTraining:
    """Train in place, on the device of the series, until the held-back loss no longer falls; leave the best weights.

    Dropout draws from torch's global generator, which is seeded from `generator` for the time being.

    Args:
        model: on the device of the series.
        series: training rows only.
        generator: decides chunks and dropout.

    Raises:
        DataError: no series is long enough for a chunk, or features are not finite.
    """
    context, horizons = model.context_bars, model.world.horizons
    splits = [split_series(own, settings.validation_frac, context, horizons) for own in series]
    chunks = WorldChunks([own.earlier for own in splits], context, settings.chunk_bars)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = max(1, math.ceil(chunks.bars / (settings.batch * settings.chunk_bars)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=max(2, settings.epochs * steps), pct_start=_WARMUP_FRAC
    )
    epochs: list[EpochLoss] = []
    best, best_weights = 0, copy.deepcopy(model.state_dict())
    with seeded_torch(int(torch.randint(2**62, (1,), generator=generator))):
        for epoch in range(settings.epochs):
            training = _epoch(model, chunks, settings.batch, steps, optimizer, schedule, generator)
            epochs.append(EpochLoss(training, *_validate(model, [own.later for own in splits])))
            logger.info("world model: epoch %d, training %.4f, validation %.4f", epoch, *epochs[-1][:2])
            if epoch == 0 or epochs[-1].validation < epochs[best].validation:
                best, best_weights = epoch, copy.deepcopy(model.state_dict())
            elif epoch - best >= settings.patience:
                break
    model.load_state_dict(best_weights)
    model.eval()
    return WorldTraining(tuple(epochs), best)


@torch.no_grad()
def evaluate_world_model(model: TransformerWorldModel, features: Tensor, targets: WorldTargets) -> WorldLoss:
    """Return the losses over a whole series (T, F), in eval mode."""
    was_training = model.training
    model.eval()
    losses = model.loss(features[None], WorldTargets(*(column[None] for column in targets)))
    model.train(was_training)
    return losses


def _epoch(
    model: TransformerWorldModel,
    chunks: WorldChunks,
    batch: int,
    steps: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: torch.Generator,
) -> float:
    model.train()
    total = 0.0
    for _ in range(steps):
        x, targets = chunks.draw(batch, generator)
        loss = model.loss(x, targets, chunks.context).total
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), _GRAD_CLIP)
        optimizer.step()
        schedule.step()
        total += loss.item()
    return total / steps


def _validate(model: TransformerWorldModel, series: Sequence[WorldSeries]) -> tuple[float, tuple[float, ...]]:
    # Series count by their length.
    losses = [evaluate_world_model(model, *own) for own in series]
    shares = torch.tensor([float(own.targets.returns_known[:, 0].sum()) for own in series])
    shares = shares / shares.sum().clamp_min(1.0)
    total = sum(float(share * loss.total) for share, loss in zip(shares, losses, strict=True))
    nll = sum(share * loss.nll for share, loss in zip(shares, losses, strict=True))
    assert isinstance(nll, Tensor)
    return total, tuple(nll.tolist())
