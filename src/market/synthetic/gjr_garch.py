"""`GjrGarch`: how the size of moves follows from the moves before, and its fit to a series.

Glosten, Jagannathan and Runkle, "On the Relation between the Expected Value and the Volatility ...", Journal of Finance
48 (1993): falls raise the variance by more than rises do,

    variance[t+1] = floor + (reaction + asymmetry * (r[t] < 0)) * r[t]² + decay * variance[t]

Ours is fitted by Gaussian quasi-likelihood on a grid that is refined once, with the floor such that the mean variance
is that of the series: no optimiser that could fail, and accurate enough for resampling residuals.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray

_REACTIONS = (0.0, 0.02, 0.05, 0.09, 0.14)
_ASYMMETRIES = (0.0, 0.05, 0.10, 0.17, 0.25)
_PERSISTENCES = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
_FINER = np.array([-0.5, -0.25, 0.0, 0.25, 0.5])


@dataclass(frozen=True)
class GjrGarch:
    """The parameters of one series; `mean` is its mean variance."""

    reaction: float
    asymmetry: float
    decay: float
    mean: float

    @property
    def floor(self) -> float:
        """What is added to the variance each bar; positive after a fit."""
        return self.mean * (1 - self.reaction - self.asymmetry / 2 - self.decay)

    def after(self, variance: float, move: float) -> float:
        """Return the variance of the next bar."""
        reaction = self.reaction + (self.asymmetry if move < 0 else 0.0)
        return self.floor + reaction * move * move + self.decay * variance

    def deviations(self, moves: FloatArray) -> FloatArray:
        """Return the standard deviation of each move given those before it, (T,), from the mean on."""
        reactions = (self.reaction + self.asymmetry * (moves < 0)) * moves**2 + self.floor
        variance, found = self.mean, []
        for grown in reactions.tolist():
            found.append(variance)
            variance = grown + self.decay * variance
        return np.sqrt(found)


def fit_gjr_garch(moves: FloatArray) -> GjrGarch:
    """Fit the model to moves of mean 0, (T,), that vary."""
    mean = float(np.mean(moves**2))
    grid = np.stack(np.meshgrid(_REACTIONS, _ASYMMETRIES, _PERSISTENCES, indexing="ij"), axis=-1).reshape(-1, 3)
    best = _best(moves, mean, grid)
    reaction, asymmetry, persistence = best
    near = np.meshgrid(
        np.maximum(0.0, reaction + 0.04 * _FINER),
        np.maximum(0.0, asymmetry + 0.06 * _FINER),
        1 - (1 - persistence) * 2.0 ** (2 * _FINER),
        indexing="ij",
    )
    reaction, asymmetry, persistence = _best(moves, mean, np.stack(near, axis=-1).reshape(-1, 3))
    return GjrGarch(float(reaction), float(asymmetry), float(persistence - reaction - asymmetry / 2), mean)


def _best(moves: FloatArray, mean: float, grid: FloatArray) -> FloatArray:
    # Of rows (reaction, asymmetry, persistence), the likeliest among the valid ones.
    grid = grid[(grid[:, 0] + grid[:, 1] / 2 < grid[:, 2]) & (grid[:, 2] < 1)]
    reaction, asymmetry, persistence = grid.T
    decay, floor = persistence - reaction - asymmetry / 2, mean * (1 - persistence)
    variance, cost = np.full(len(grid), mean), np.zeros(len(grid))
    falls: NDArray[np.bool_] = moves < 0
    for square, fell in zip((moves**2).tolist(), falls.tolist(), strict=True):
        cost += np.log(variance) + square / variance
        variance = floor + (reaction + asymmetry if fell else reaction) * square + decay * variance
    best: FloatArray = grid[np.argmin(cost)]
    return best
