"""A whole series traded by a policy that adapts at given bars: every adaptation and every embedding, in batch.

An adapted head decides from its own bar until the next adaptation. Bars are still encoded once where only the head
adapts; where the whole network does, the bars between two adaptations are encoded by their own trunk.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from src.models.maml.inner_loop import Parameters
from src.models.maml_model import AdaptedPolicy, MAMLModel
from src.models.position_grid import PositionGrid
from src.models.ppo_model import encode_series

_AT_ONCE = 64  # adaptations computed side by side; bounds memory


class AdaptedSeries(NamedTuple):
    """M adaptations of a series of T bars."""

    part: Tensor  # (T, H) policy's market part of each bar under the adaptation that serves it; NaN before the first
    parameters: Parameters  # (M, ...) each
    serving: Tensor  # (T,) int64 index of the adaptation that serves each bar; -1 before the first


@torch.no_grad()
def adapt_series(
    model: MAMLModel, features: Tensor, log_return: Tensor, cost_frac: Tensor, grid: PositionGrid, points: Tensor
) -> AdaptedSeries:
    """Adapt at the close of each of `points`, on the bars up to it, and encode every bar for the head that serves it.

    In eval mode; equal to one adaptation after the other within 1e-5.

    Args:
        model: on the device of the rest.
        features: (T, F).
        log_return: (T,) since the prior close, in units of reward.
        cost_frac: (T,) at each bar's open, per unit of exposure changed, in units of reward.
        grid: positions to enumerate.
        points: (M,) int64 rows in order, the first not before `model.history_bars`.
    """
    assert len(points) == 0 or points[0] >= model.history_bars, "an adaptation needs its whole history"
    bars = len(features)
    stop = torch.cat([points[1:], points.new_tensor([bars])])  # (M,) where each adaptation ceases to serve
    serving = torch.searchsorted(points, torch.arange(bars, device=points.device), right=True) - 1
    part = features.new_full((bars, model.config.head_dim), torch.nan)
    was_training = model.training
    model.eval()
    try:
        source = features if model.adapts_trunk else encode_series(model, features)
        batches = []
        for first in range(0, len(points), _AT_ONCE):
            own = slice(first, first + _AT_ONCE)
            begin, end = points[own], stop[own]
            paid = begin[:, None] + torch.arange(1 - model.adaptation.support_bars, 1, device=points.device)  # (G, S)
            support = grid.support(_before(model, source, begin), log_return[paid], cost_frac[paid])
            parameters = model.adapt(model.meta_parameters(len(begin)), support)
            rows = begin[:, None] + torch.arange(int((end - begin).max()), device=points.device)  # (G, T)
            served = rows < end[:, None]
            embedding = _embedded(model, parameters, source, rows.clamp(max=bars - 1))
            part[rows[served]] = AdaptedPolicy(model, parameters).market_part(embedding).policy[served]
            batches.append(parameters)
    finally:
        model.train(was_training)
    joined = {name: torch.cat([batch[name] for batch in batches]) for name in model.adaptable} if batches else {}
    return AdaptedSeries(part, joined, serving)


def _before(model: MAMLModel, source: Tensor, begin: Tensor) -> Tensor:
    # `Support.inputs` of the stretches that end before the bars `begin`, (G, ...).
    length = model.history_bars if model.adapts_trunk else model.adaptation.support_bars
    return source[begin[:, None] + torch.arange(-length, 0, device=begin.device)]


def _embedded(model: MAMLModel, parameters: Parameters, source: Tensor, rows: Tensor) -> Tensor:
    # (G, T) consecutive rows, the last one possibly repeated -> (G, T, D).
    if not model.adapts_trunk:
        return source[rows]
    context = rows[:, :1] + torch.arange(-model.context_bars, 0, device=rows.device)
    return AdaptedPolicy(model, parameters).encode_market(
        source[torch.cat([context, rows], 1)], None, model.context_bars
    )
