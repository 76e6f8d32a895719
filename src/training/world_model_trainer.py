"""Training of a world model by itself: what comes next teaches it, no action is taken.

A plain loop without ray. The end of every series is held back; what is trained on ends before it, futures included, and
the best weights by its loss are those that stay.
"""

import copy
import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.config.world import WorldTrainingConfig
from src.errors import DataError
from src.models.world_loss import WorldLoss
from src.models.world_model import TransformerWorldModel
from src.models.world_targets import WorldTargets

logger = logging.getLogger(__name__)

_GRAD_CLIP = 1.0
_WARMUP_FRAC = 0.2


class WorldSeries(NamedTuple):
    """Training rows of one series and what came after them."""

    features: Tensor  # (T, F) float32
    targets: WorldTargets  # (T, ...); `before(len(features), horizons)` hides what lies beyond the training rows


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
    splits = [_split(own, model, settings) for own in series]
    chunks = _Chunks([own.training for own in splits], model.context_bars, settings.chunk_bars)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = max(1, math.ceil(chunks.bars / (settings.batch * settings.chunk_bars)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=max(2, settings.epochs * steps), pct_start=_WARMUP_FRAC
    )
    epochs: list[EpochLoss] = []
    best, best_weights = 0, copy.deepcopy(model.state_dict())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        for epoch in range(settings.epochs):
            training = _epoch(model, chunks, settings.batch, steps, optimizer, schedule, generator)
            epochs.append(EpochLoss(training, *_validate(model, [own.validation for own in splits])))
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


class _Split(NamedTuple):
    training: WorldSeries
    validation: WorldSeries


def _split(own: WorldSeries, model: TransformerWorldModel, settings: WorldTrainingConfig) -> _Split:
    # The futures of the training part end before the validation part begins. That looks back into the training part.
    bars, horizons = len(own.features), model.world.horizons
    cut = bars - max(1, round(settings.validation_frac * bars))
    training = WorldSeries(own.features[:cut], own.targets.rows(slice(0, cut)).before(cut, horizons))
    back = max(0, cut - model.context_bars)
    held_back = own.targets.rows(slice(back, bars)).after(cut - back)
    return _Split(training, WorldSeries(own.features[back:], held_back))


class _Chunks:
    """All training bars one after the other, cut at random; chunks never cross from one series into another."""

    def __init__(self, series: Sequence[WorldSeries], context: int, length: int) -> None:
        usable = [own for own in series if len(own.features) >= context + length]
        if not usable:
            longest = max((len(own.features) for own in series), default=0)
            raise DataError(
                f"a world model is trained on chunks of {length} bars after {context} bars of context, the longest"
                f" series has {longest}; give more bars, or set chunk_bars or the window lower"
            )
        self._context, self._length = context, length
        self._features = torch.cat([own.features for own in usable])
        self._targets = WorldTargets(*(torch.cat(column) for column in zip(*(s.targets for s in usable), strict=True)))
        starts, first = [], 0
        for own in usable:
            starts.append(torch.arange(first, first + len(own.features) - context - length + 1))
            first += len(own.features)
        self._starts = torch.cat(starts)
        self.bars = first

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, WorldTargets]:
        chosen = self._starts[torch.randint(len(self._starts), (count,), generator=generator)]
        rows = chosen[:, None] + torch.arange(self._context + self._length)
        return self._features[rows], self._targets.rows(rows[:, self._context :])

    @property
    def context(self) -> int:
        return self._context


def _epoch(
    model: TransformerWorldModel,
    chunks: _Chunks,
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
