"""What came after each bar: what a world model learns to foresee. For training only; nothing here is an input."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.market.bars import BarSeries, FloatArray
from src.models.world.density_head import MixtureDensity


class WorldTargets(NamedTuple):
    """The future of T bars; where it is not known the values are 0 and the masks False.

    Leading axes may be any; `...` is (T,) of a series or (B, T) of chunks.
    """

    returns: Tensor  # (..., H) cumulative log-return over each horizon
    returns_known: Tensor  # (..., H) bool
    next_return: Tensor  # (...) log-return of the next bar
    shape: Tensor  # (..., 4) of the next candle: gap, upper and lower wick in log price, log change of volume
    shape_known: Tensor  # (..., 4) bool; no change of volume is known next to a bar without any
    regime: Tensor  # (..., 4) probabilities at the middle horizon
    regime_known: Tensor  # (...) bool

    def rows(self, rows: Tensor | slice) -> "WorldTargets":
        """Return the targets of some rows of a series; (B, T) rows give (B, T, ...)."""
        return WorldTargets(*(column[rows] for column in self))

    def before(self, stop: int, horizons: Sequence[int]) -> "WorldTargets":
        """Forget every future that ends at row `stop` or later, so that what is trained on it knows no more."""
        bar = torch.arange(len(self.returns))
        ends = torch.stack([bar + horizon < stop for horizon in horizons], -1)
        middle = ends[:, len(horizons) // 2]
        return self._replace(
            returns_known=self.returns_known & ends,
            shape_known=self.shape_known & (bar + 1 < stop)[:, None],
            regime_known=self.regime_known & middle,
        )

    def after(self, start: int) -> "WorldTargets":
        """Forget the futures of the rows before `start`."""
        kept = torch.arange(len(self.returns)) >= start
        return self._replace(
            returns_known=self.returns_known & kept[:, None],
            shape_known=self.shape_known & kept[:, None],
            regime_known=self.regime_known & kept,
        )


def world_targets(bars: BarSeries, horizons: Sequence[int], regimes: FloatArray | None = None) -> WorldTargets:
    """Return the targets of a series.

    Args:
        horizons: bars ahead, (H,).
        regimes: (T, 4) probabilities of each bar's regime, of any classifier; None leaves the regime ahead unknown.
    """
    close, count = np.log(bars.close), len(bars)
    returns, known = np.zeros((count, len(horizons))), np.zeros((count, len(horizons)), dtype=bool)
    for column, horizon in enumerate(horizons):
        kept = max(0, count - horizon)
        returns[:kept, column] = close[count - kept :] - close[:kept]
        known[:kept, column] = True
    shape, shape_known = _next_candles(bars)
    ahead, regime_known = np.zeros((count, 4)), np.zeros(count, dtype=bool)
    if regimes is not None:
        kept = max(0, count - horizons[len(horizons) // 2])
        ahead[:kept], regime_known[:kept] = regimes[count - kept :], True
    following = np.append(np.diff(close), 0.0)
    columns = (returns, known, following, shape, shape_known, ahead, regime_known)
    return WorldTargets(*(torch.from_numpy(c.astype(np.float32) if c.dtype == np.float64 else c) for c in columns))


def _next_candles(bars: BarSeries) -> tuple[FloatArray, NDArray[np.bool_]]:
    opened, close = np.log(bars.open), np.log(bars.close)
    upper = np.log(bars.high) - np.maximum(opened, close)
    lower = np.minimum(opened, close) - np.log(bars.low)
    volume = np.log(np.where(bars.volume > 0, bars.volume, 1.0))
    shape, known = np.zeros((len(bars), 4)), np.zeros((len(bars), 4), dtype=bool)
    shape[:-1] = np.column_stack([opened[1:] - close[:-1], upper[1:], lower[1:], np.diff(volume)])
    known[:-1] = True
    known[:-1, 3] = (bars.volume[1:] > 0) & (bars.volume[:-1] > 0)
    return shape, known


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
    """Return the mean () of the values (...) that are known (...), or 0."""
    counted = known.to(values.dtype)
    return (values * counted).sum() / counted.sum().clamp_min(1.0)
