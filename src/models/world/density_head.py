"""`MixtureDensity`: densities of log-returns, mixtures of Student-t distributions, and the head that gives them.

Degrees of freedom are fixed and even, so that the distribution function is a polynomial in elementary functions; a
mixture of scales reaches any heavier tail, one of locations any skew.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor, nn

from src.market.bars import FloatArray

_LOCATION, _LOG_SCALE = 6.0, 3.0  # bounds, in base volatilities and in logarithms of them
_SPREAD = 0.4  # of the log scales at the start
_ENOUGH, _MOST_STEPS = 1e-11, 100  # of the bracket a quantile is looked for in; far fewer steps are needed


@dataclass(frozen=True)
class MixtureDensity:
    """Densities of shape (...), each a mixture of K Student-t distributions.

    Attributes:
        log_weight: (..., K), normalised.
        location: (..., K), in log-return.
        scale: (..., K), > 0, in log-return.
        degrees: of freedom, even and >= 4.
    """

    log_weight: Tensor
    location: Tensor
    scale: Tensor
    degrees: int

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density at values that broadcast against (...), in nats."""
        z = (value[..., None] - self.location) / self.scale
        half = 0.5 * self.degrees
        constant = math.lgamma(half + 0.5) - math.lgamma(half) - 0.5 * math.log(math.pi * self.degrees)
        laws = constant - (half + 0.5) * torch.log1p(z.square() / self.degrees) - self.scale.log()
        return torch.logsumexp(self.log_weight + laws, -1)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability of at most `value`, which broadcasts against (...)."""
        z = (value[..., None] - self.location) / self.scale
        return (self.log_weight.exp() * student_t_cdf(z, self.degrees)).sum(-1)

    @property
    def _laws(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.log_weight, self.location, self.scale

    @property
    def mean(self) -> Tensor:
        """Means, (...)."""
        return (self.log_weight.exp() * self.location).sum(-1)

    @property
    def variance(self) -> Tensor:
        """Variances, (...)."""
        within = self.scale.square() * self.degrees / (self.degrees - 2)
        apart = (self.location - self.mean[..., None]).square()
        return (self.log_weight.exp() * (within + apart)).sum(-1)

    @torch.no_grad()
    def quantile(self, level: Tensor) -> Tensor:
        """Return the values below which `level` (Q,) of each density lies, (..., Q).

        By Newton's steps in float64, and halving where a step would lead astray.
        """
        levels = level.double().cpu().numpy()
        laws = torch.from_numpy(_law_quantiles(self.degrees, levels.tobytes()).copy()).to(level.device)  # (Q,)
        location, scale = self.location.double()[..., None], self.scale.double()[..., None]
        inner = location + scale * laws  # (..., K, Q): a mixture's quantile lies between those of its laws
        low, high = inner.amin(-2), inner.amax(-2)
        weight, wanted = self.log_weight.double().exp(), level.double()
        steep = weight / self.scale.double()
        value, moved, enough = _mixed(weight, inner), high - low, _ENOUGH * (high - low)
        for _ in range(_MOST_STEPS):
            cdf, pdf = _student_t((value[..., None, :] - location) / scale, self.degrees)
            excess = _mixed(weight, cdf) - wanted
            is_below, newton = excess < 0, excess / _mixed(steep, pdf)
            low, high = torch.where(is_below, value, low), torch.where(is_below, high, value)
            step, size = value - newton, newton.abs()
            trusted = ((step >= low) & (step <= high) & (2 * size <= moved)) | (size <= enough)
            after = torch.where(trusted, step, 0.5 * (low + high))
            value, moved = after, (after - value).abs()
            if bool((moved <= enough).all()):
                break
        return value.to(self.location.dtype)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw `count` values of each density independently, (count, ...)."""
        batch = self.location.shape[:-1]
        weight = self.log_weight.exp().reshape(-1, self.location.shape[-1])
        chosen = torch.multinomial(weight, count, replacement=True, generator=generator).T.reshape(count, *batch, 1)
        location, scale = (
            part.expand(count, *part.shape).gather(-1, chosen)[..., 0] for part in (self.location, self.scale)
        )
        # Chi-squared with an even number of degrees is a sum of exponentials; 1 - u is never 0.
        uniform = torch.rand(self.degrees // 2, count, *batch, generator=generator, dtype=location.dtype)
        chi_squared = -2.0 * torch.log1p(-uniform).sum(0)
        normal = torch.randn(count, *batch, generator=generator, dtype=location.dtype)
        return location + scale * normal / (chi_squared / self.degrees).sqrt()

    def horizon(self, index: int) -> "MixtureDensity":
        """Return the densities (...) of one horizon out of (..., H)."""
        log_weight, location, scale = (part[..., index, :] for part in self._laws)
        return MixtureDensity(log_weight, location, scale, self.degrees)

    def at(self, row: int | slice | Tensor) -> "MixtureDensity":
        """Return the densities of an index, a slice or rows (R,) of the leading axis of (N, ...)."""
        log_weight, location, scale = (part[row] for part in self._laws)
        return MixtureDensity(log_weight, location, scale, self.degrees)

    def detach(self) -> "MixtureDensity":
        """Return the same densities without their graph."""
        log_weight, location, scale = (part.detach() for part in self._laws)
        return MixtureDensity(log_weight, location, scale, self.degrees)

    @staticmethod
    def blend(members: list["MixtureDensity"]) -> "MixtureDensity":
        """Return the even mixture (...) of densities (...): the forecast of an ensemble."""
        share = math.log(len(members))
        return MixtureDensity(
            torch.cat([member.log_weight - share for member in members], -1),
            torch.cat([member.location for member in members], -1),
            torch.cat([member.scale for member in members], -1),
            members[0].degrees,
        )


def student_t_cdf(value: Tensor, degrees: int) -> Tensor:
    """Return the distribution function at (...), for even degrees of freedom (Abramowitz and Stegun 1964, 26.7.4)."""
    # The far tail is 1 - sine * (1 + ...) with both close to 1: float32 keeps about seven digits of 1 there.
    hypotenuse = (degrees + value.square()).sqrt()
    sine, squared_cosine = value / hypotenuse, degrees / (degrees + value.square())
    term = torch.ones_like(value)
    total = term
    for j in range(1, degrees // 2):
        term = term * squared_cosine * ((2 * j - 1) / (2 * j))
        total = total + term
    return 0.5 + 0.5 * sine * total


@lru_cache(maxsize=8)
def _law_quantiles(degrees: int, levels: bytes) -> FloatArray:
    # Of one distribution, (Q,). A live agent asks for the same levels at every bar.
    quantiles: FloatArray = stdtrit(degrees, np.frombuffer(levels))
    return quantiles


def _mixed(weight: Tensor, values: Tensor) -> Tensor:
    # (..., K) and (..., K, Q) -> (..., Q).
    return (weight[..., None, :] @ values)[..., 0, :]


def _student_t(value: Tensor, degrees: int) -> tuple[Tensor, Tensor]:
    # Distribution function, as in `student_t_cdf`, and density, which shares most of it; without a graph.
    half = degrees // 2
    squared_cosine = value.square().add_(degrees).reciprocal_().mul_(degrees)
    cosine = squared_cosine.sqrt()
    term, total = torch.ones_like(value), torch.ones_like(value)
    for j in range(1, half):
        term.mul_(squared_cosine).mul_((2 * j - 1) / (2 * j))
        total.add_(term)
    cdf = total.mul_(cosine).mul_(value).mul_(0.5 / math.sqrt(degrees)).add_(0.5)
    # The last term holds all powers of the density but one, and the odd over the even numbers up to degrees - 2.
    share = math.prod((2 * j - 1) / (2 * j) for j in range(1, half))
    constant = math.exp(math.lgamma(half + 0.5) - math.lgamma(half)) / math.sqrt(math.pi * degrees) / share
    return cdf, term.mul_(squared_cosine).mul_(cosine).mul_(constant)


class DensityHead(nn.Module):
    """Densities over H horizons, all in one pass, as multiples of base volatility * sqrt(horizon).

    At first the density is that of the base volatility alone: symmetric, of unit variance in those multiples, and the
    same whatever the bar shows.

    Args:
        input_dim: D.
        horizons: bars, (H,).
        components: K distributions per density.
        degrees: of freedom of each.

    Attributes:
        output_dim: 3 * H * K numbers describe the densities of a bar.
    """

    root_horizon: Tensor

    def __init__(self, input_dim: int, horizons: list[int], components: int, degrees: int) -> None:
        super().__init__()
        self._horizons, self._components, self._degrees = len(horizons), components, degrees
        self.output_dim = 3 * len(horizons) * components
        self.register_buffer("root_horizon", torch.tensor(horizons).float().sqrt(), persistent=False)
        self.output = nn.Linear(input_dim, self.output_dim)
        with torch.no_grad():
            self.output.weight.zero_()
            self.output.bias.copy_(_start(len(horizons), components, degrees))

    def forward(self, x: Tensor) -> Tensor:
        """Return the numbers that describe the densities: (..., D) -> (..., 3 * H * K)."""
        described: Tensor = self.output(x)
        return described

    def density(self, described: Tensor, log_base: Tensor) -> MixtureDensity:
        """Return the densities, (..., H), of numbers (..., 3 * H * K) and log base volatilities (...)."""
        shaped = described.reshape(*described.shape[:-1], self._horizons, 3, self._components)
        weight, location, log_scale = shaped.unbind(-2)
        unit = log_base.exp()[..., None, None] * self.root_horizon[:, None]  # (..., H, 1)
        return MixtureDensity(
            weight.log_softmax(-1),
            unit * _within(location, _LOCATION),
            unit * _within(log_scale, _LOG_SCALE).exp(),
            self._degrees,
        )


def _within(value: Tensor, bound: float) -> Tensor:
    return bound * torch.tanh(value / bound)


def _start(horizons: int, components: int, degrees: int) -> Tensor:
    log_scale = np.linspace(-_SPREAD, _SPREAD, components) if components > 1 else np.zeros(1)
    variance = np.exp(2 * log_scale).mean() * degrees / (degrees - 2)
    start = np.zeros((horizons, 3, components))
    start[:, 2] = _LOG_SCALE * np.arctanh((log_scale - 0.5 * np.log(variance)) / _LOG_SCALE)
    return torch.from_numpy(start).float().flatten()
