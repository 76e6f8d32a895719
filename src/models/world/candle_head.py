"""What a candle looks like beside its return: opening gap, wicks, change of volume.

Prices are built from gap, return and wicks of at least 0, so that every sampled candle is one that can occur.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

SHAPE = ("gap", "upper_wick", "lower_wick", "volume_change")
_WICK_OFFSET = 0.02  # base volatilities: keeps the logarithm of a candle without wick finite
_MIN_LOG_SCALE, _MOST_LOG_SCALE = math.log(0.02), 2.0  # a market without gaps must not earn infinite likelihood
_MOST_WICK = 20.0  # base volatilities
_MOST_VOLUME = 10.0  # logarithm of the change within a bar


class Candle(NamedTuple):
    """Log prices relative to the prior close, and the log change of volume; equal shapes."""

    open: Tensor
    high: Tensor
    low: Tensor
    close: Tensor
    volume_change: Tensor


class ShapeHead(nn.Module):
    """Independent normal distributions, given the embedding and the bar's own return, of

        gap / sigma,  log(upper wick / sigma + 0.02),  log(lower wick / sigma + 0.02),  log change of volume

    Args:
        input_dim: D.
    """

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(input_dim + 2, input_dim)
        self.output = nn.Linear(input_dim, 2 * len(SHAPE))

    def distributions(self, x: Tensor, standard_return: Tensor) -> tuple[Tensor, Tensor]:
        """Return locations and scales, (..., 4) each, of embeddings (..., D) and returns over sigma (...)."""
        moves = torch.stack([standard_return, standard_return.abs()], -1).clamp(-8.0, 8.0)
        numbers = self.output(torch.nn.functional.silu(self.hidden(torch.cat([x, moves], -1))))
        location, log_scale = numbers.chunk(2, -1)
        return location, log_scale.clamp(_MIN_LOG_SCALE, _MOST_LOG_SCALE).exp()

    def log_prob(self, x: Tensor, standard_return: Tensor, shape: Tensor, sigma: Tensor) -> Tensor:
        """Return the log density of each of the four, each in the units it is modelled in, (..., 4).

        Args:
            x: (..., D).
            standard_return: (...) of the bar, over sigma.
            shape: (..., 4) gap and wicks in log price, log change of volume.
            sigma: (...) base volatility.
        """
        location, scale = self.distributions(x, standard_return)
        z = (_in_units(shape, sigma) - location) / scale
        return -0.5 * z.square() - scale.log() - 0.5 * math.log(2 * math.pi)

    @torch.no_grad()
    def sample(self, x: Tensor, log_return: Tensor, sigma: Tensor, generator: torch.Generator) -> Candle:
        """Draw candles of given log-returns (...) under embeddings (..., D) and volatilities (...)."""
        location, scale = self.distributions(x, log_return / sigma)
        noise = torch.randn(location.shape, generator=generator, dtype=location.dtype)
        gap, upper, lower, volume = (location + scale * noise).unbind(-1)
        opened = gap.clamp(-_MOST_WICK, _MOST_WICK) * sigma
        high = torch.maximum(opened, log_return) + _wick(upper) * sigma
        low = torch.minimum(opened, log_return) - _wick(lower) * sigma
        return Candle(opened, high, low, log_return, volume.clamp(-_MOST_VOLUME, _MOST_VOLUME))


def _in_units(shape: Tensor, sigma: Tensor) -> Tensor:
    gap, upper, lower, volume = shape.unbind(-1)
    wicks = [(wick / sigma + _WICK_OFFSET).clamp_min(_WICK_OFFSET).log() for wick in (upper, lower)]
    units = [(gap / sigma).clamp(-_MOST_WICK, _MOST_WICK), *wicks, volume.clamp(-_MOST_VOLUME, _MOST_VOLUME)]
    return torch.stack(units, -1)


def _wick(value: Tensor) -> Tensor:
    return (value.clamp_max(math.log(_MOST_WICK)).exp() - _WICK_OFFSET).clamp_min(0.0)
