"""What a world model's predictions cost it, in nats."""

from typing import NamedTuple

from torch import Tensor

from src.models.density_head import MixtureDensity
from src.models.world_targets import WorldTargets


class WorldLoss(NamedTuple):
    """Scalars with their graph; a part without any known target is 0."""

    total: Tensor  # mean of `nll` + shape_weight * shape + regime_weight * regime
    nll: Tensor  # (H,) negative log-likelihood of the cumulative log-return over each horizon
    shape: Tensor  # of the next candle's shape, mean over what is known of its four parts
    regime: Tensor  # cross-entropy of the regime ahead


def return_nll(density: MixtureDensity, targets: WorldTargets) -> Tensor:
    """Return the negative log-likelihood of each horizon's known returns, (H,), of densities (..., H)."""
    likelihood = density.log_prob(targets.returns).flatten(0, -2)  # (bars, H)
    known = targets.returns_known.flatten(0, -2).to(likelihood.dtype)
    return -(likelihood * known).sum(0) / known.sum(0).clamp_min(1.0)


def known_mean(values: Tensor, known: Tensor) -> Tensor:
    """Return the mean of the values that are known, or 0."""
    counted = known.to(values.dtype)
    return (values * counted).sum() / counted.sum().clamp_min(1.0)
