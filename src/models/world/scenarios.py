"""Paths of candles whose cumulative returns have given densities at given horizons.

Raw paths are drawn bar by bar, with a volatility that answers to their own returns; then, at each horizon in turn, the
paths are ranked and each is moved to the quantile of its rank, and what lies between is moved along. So marginals at
the modelled horizons are those of the densities, and how a path gets there (clusters of volatility, falls that excite
more than rises) is that of the recursion. Ranking keeps a joint law and exchanges its margins (Clark et al. 2004, the
"Schaake shuffle"; our ranks are jittered within their strata, so that each path by itself is a fair draw).
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from src.config.base import require
from src.market.bars import FloatArray
from src.models.world.candle_head import Candle
from src.models.world.density_head import MixtureDensity

_WIDEST = 3.0  # a path's log volatility stays within so much of where it begins
_MIN_ROWS = 50


class Scenarios(NamedTuple):
    """P imagined paths of T candles, (P, T) each, and what each path counts, (P,), summing to 1."""

    open: Tensor
    high: Tensor
    low: Tensor
    close: Tensor
    volume: Tensor
    weight: Tensor


class PathDynamics(NamedTuple):
    """How volatility moves along a path: v' = level + persistence * v + size * |z| + sign * z + noise * e.

    v is the log of base volatility over the typical one, z the return over the base volatility foreseen for it, e
    standard normal. `STILL` leaves the volatility as it is.
    """

    level: float
    persistence: float
    size: float
    sign: float
    noise: float

    def follow(self, volatility: Tensor, z: Tensor, noise: Tensor) -> Tensor:
        """Return the log volatility after a bar, (P,), from the one before it, the bar's z and noise, (P,) each."""
        return self.level + self.persistence * volatility + self.size * z.abs() + self.sign * z + self.noise * noise


STILL = PathDynamics(0.0, 1.0, 0.0, 0.0, 0.0)


def fit_dynamics(log_volatility: list[FloatArray], log_return: list[FloatArray], typical_sigma: float) -> PathDynamics:
    """Fit the recursion by least squares to series of base volatilities and the returns that followed.

    Args:
        log_volatility: (T,) per series, log base volatility over the typical one, row t for the return of bar t + 1.
        log_return: (T,) per series, of the bars themselves.
        typical_sigma: the constant.
    """
    before = np.concatenate([column[:-1] for column in log_volatility])
    after = np.concatenate([column[1:] for column in log_volatility])
    if len(before) < _MIN_ROWS or before.std() < 1e-6:
        return STILL
    z = np.concatenate([column[1:] for column in log_return]) / (typical_sigma * np.exp(before))
    z = np.clip(z, -8.0, 8.0)
    table = np.column_stack([np.ones_like(before), before, np.abs(z), z])
    found = np.linalg.lstsq(table, after, rcond=None)[0]
    noise = float((after - table @ found).std())
    level, persistence, size, sign = (float(value) for value in found)
    return PathDynamics(level, min(max(persistence, 0.0), 1.0), size, sign, noise)


class ReturnPaths(NamedTuple):
    """Log-returns of bars and the base volatility of each, (P, T) each, float64."""

    log_return: Tensor
    sigma: Tensor


@torch.no_grad()
def draw_returns(
    density: MixtureDensity,
    horizons: list[int],
    bars: int,
    log_volatility: float,
    typical_sigma: float,
    dynamics: PathDynamics,
    paths: int,
    generator: torch.Generator,
) -> ReturnPaths:
    """Draw paths of returns.

    Args:
        density: (H,) at the last known bar.
        horizons: bars, (H,), ascending.
        bars: T. Beyond the last horizon the raw path goes on from where the last quantile left it.
        log_volatility: of the next bar, over the typical one.
        typical_sigma: the constant.
        dynamics: of volatility along a path.
        paths: P.
        generator: of all draws.
    """
    raw = _raw(density.horizon(0), horizons[0], bars, log_volatility, typical_sigma, dynamics, paths, generator)
    cumulative = raw.log_return.cumsum(1)
    # How far each path is moved at the anchors, and, on a line between them, in between.
    anchors, moves = [0], [torch.zeros(paths, dtype=cumulative.dtype)]
    for index, horizon in enumerate(horizons):
        if horizon > bars:
            break
        reached = cumulative[:, horizon - 1]
        anchors.append(horizon)
        moves.append(_ranked(reached, density.horizon(index), generator) - reached)
    if len(anchors) == 1:
        return raw
    moved = _between(anchors, torch.stack(moves, 1), bars).diff(dim=1, prepend=moves[0][:, None])
    return ReturnPaths(raw.log_return + moved, raw.sigma)


def _raw(
    density: MixtureDensity,
    horizon: int,
    bars: int,
    log_volatility: float,
    typical_sigma: float,
    dynamics: PathDynamics,
    paths: int,
    generator: torch.Generator,
) -> ReturnPaths:
    # Standardised returns have the shape of the shortest horizon's density.
    unit = typical_sigma * float(np.exp(log_volatility)) * horizon**0.5
    z = density.sample(paths * bars, generator).view(paths, bars).double() / unit
    noise = torch.randn(paths, bars, generator=generator, dtype=z.dtype)
    volatility = torch.full((paths,), log_volatility, dtype=z.dtype)
    sigma = []
    for bar in range(bars):
        sigma.append(typical_sigma * volatility.exp())
        followed = dynamics.follow(volatility, z[:, bar].clamp(-8.0, 8.0), noise[:, bar])
        volatility = followed.clamp(log_volatility - _WIDEST, log_volatility + _WIDEST)
    volatilities = torch.stack(sigma, 1)
    return ReturnPaths(volatilities * z, volatilities)


def _ranked(values: Tensor, density: MixtureDensity, generator: torch.Generator) -> Tensor:
    # The quantile of each value's rank, jittered within the stratum of the rank.
    ranks = values.argsort().argsort().to(values.dtype)
    jitter = torch.rand(len(values), generator=generator, dtype=values.dtype)
    return density.quantile((ranks + jitter) / len(values)).to(values.dtype)


def _between(anchors: list[int], moves: Tensor, bars: int) -> Tensor:
    # Linear interpolation of (P, anchors) over bars 1 to T, constant beyond the last anchor.
    bar = torch.arange(1, bars + 1).clamp(max=anchors[-1])
    edges = torch.tensor(anchors)
    right = torch.searchsorted(edges, bar).clamp(min=1)
    left = right - 1
    share = (bar - edges[left]) / (edges[right] - edges[left])
    return torch.lerp(moves[:, left], moves[:, right], share.to(moves.dtype).expand(len(moves), -1))


def to_candles(candle: Candle, last_close: float, last_volume: float) -> Scenarios:
    """Return paths of equal weight made of candles (P, T) that follow one another from a close and a volume.

    In float64, and with high and low corrected for its rounding: every candle contains its open and close.
    """
    returns = candle.close.double()
    close = last_close * returns.cumsum(1).exp()
    before = torch.cat([torch.full_like(close[:, :1], last_close), close[:, :-1]], 1)
    opened, high, low = (before * part.double().exp() for part in (candle.open, candle.high, candle.low))
    high = torch.maximum(high, torch.maximum(opened, close))
    low = torch.minimum(low, torch.minimum(opened, close))
    volume = last_volume * candle.volume_change.double().cumsum(1).exp()
    return Scenarios(opened, high, low, close, volume, torch.full_like(close[:, 0], 1.0 / len(close)))


@torch.no_grad()
def quantile_fan(density: MixtureDensity, horizons: list[int], bars: int, level: Tensor) -> Tensor:
    """Return quantiles of the cumulative log-return over 1 to T bars, (T, Q).

    At the modelled horizons they are exact; between two of them quantiles over the root of the horizon are
    interpolated in its logarithm, which keeps them in order; below the first they grow with the root of the horizon.

    Args:
        density: (H,).
        horizons: bars, (H,), ascending; T may not exceed the last.
        bars: T.
        level: (Q,).

    Raises:
        ConfigError: T is out of reach.
    """
    _require_reach(horizons, bars)
    standard = _standard_quantiles(density, horizons, level)
    return torch.stack([_interpolated(standard, horizons, bar) for bar in range(1, bars + 1)])


@torch.no_grad()
def horizon_quantiles(density: MixtureDensity, horizons: list[int], bars: int, level: Tensor) -> Tensor:
    """Return the last row of `quantile_fan`, (Q,), from the modelled horizons next to it.

    Raises:
        ConfigError: T is out of reach.
    """
    _require_reach(horizons, bars)
    right = int(np.searchsorted(horizons, bars))
    left = right if horizons[right] == bars else max(0, right - 1)
    near = slice(left, right + 1)
    return _interpolated(_standard_quantiles(density.at(near), horizons[near], level), horizons[near], bars)


def _require_reach(horizons: list[int], bars: int) -> None:
    require(
        1 <= bars <= horizons[-1],
        f"this world model foresees returns over 1 to {horizons[-1]} bars and {bars} were asked for;"
        " ask for fewer, or train with a longer horizon",
    )


def _standard_quantiles(density: MixtureDensity, horizons: list[int], level: Tensor) -> Tensor:
    # Over the root of the horizon, (H, Q).
    roots = torch.tensor(horizons, dtype=torch.float64, device=level.device).sqrt()
    return density.quantile(level).double() / roots[:, None]


def _interpolated(standard: Tensor, horizons: list[int], bar: int) -> Tensor:
    right = int(np.searchsorted(horizons, bar))
    left = max(0, right - 1)
    span = np.log(horizons[right] / horizons[left])
    share = 1.0 if span == 0 else max(0.0, float(np.log(bar / horizons[left]) / span))
    quantiles: Tensor = torch.lerp(standard[left], standard[right], share) * bar**0.5
    return quantiles
