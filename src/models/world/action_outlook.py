"""`ActionOutlook`: what each target of the grid may earn, after costs, as numbers and as a table."""

from typing import NamedTuple

import numpy as np

from src.market.bars import FloatArray

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_STRATA = 2000  # of equal probability, over which means are taken


class ActionOutlook(NamedTuple):
    """Profit after costs, as a fraction of equity, of going to each target now and holding it for the horizon.

    Attributes:
        horizon: bars.
        position: exposure held now.
        targets: (A,) exposures.
        levels: (Q,) probabilities.
        quantiles: (A, Q) of profit.
        mean: (A,) of profit.
        loss_probability: (A,) of ending below zero.
    """

    horizon: int
    position: float
    targets: FloatArray
    levels: FloatArray
    quantiles: FloatArray
    mean: FloatArray
    loss_probability: FloatArray

    @property
    def best(self) -> int:
        """Index of the target with the largest mean."""
        return int(self.mean.argmax())

    def to_table(self) -> str:
        """Return the outlook as lines of text, in per cent of equity."""
        names = [f"{100 * level:g}%" for level in self.levels]
        head = f"{'target':>8}{'mean':>9}{'P(loss)':>9}" + "".join(f"{name:>9}" for name in names)
        lines = [f"profit over {self.horizon} bars from a position of {self.position:g}, % of equity", head]
        for target, mean, loss, quantiles in zip(
            self.targets, self.mean, self.loss_probability, self.quantiles, strict=True
        ):
            values = "".join(f"{100 * value:>+9.2f}" for value in quantiles)
            lines.append(f"{target:>+8.2f}{100 * mean:>+9.2f}{100 * loss:>8.0f}%{values}")
        return "\n".join(lines)


def strata(levels: FloatArray) -> FloatArray:
    """Return the probabilities at which `action_outlook` needs log-returns, (2 Q + 2000,): levels, mirror, strata."""
    return np.concatenate([levels, 1 - levels, (np.arange(_STRATA) + 0.5) / _STRATA])


def action_outlook(
    horizon: int,
    position: float,
    targets: FloatArray,
    levels: FloatArray,
    log_returns: FloatArray,
    cost_frac: float,
) -> ActionOutlook:
    """Turn quantiles of the log-return into those of profit: target * (exp(x) - 1) - cost * |target - position|.

    The means are over 2000 strata, whose middles leave out the outermost 0.025 % on each side: the exponential of a
    Student-t has no mean at all.

    Args:
        levels: (Q,).
        log_returns: quantiles at `strata(levels)`, (2 Q + 2000,).
        cost_frac: per unit of exposure changed; the way back is not charged.
    """
    count = len(levels)
    rising, falling, middles = np.split(np.expm1(log_returns), [count, 2 * count])
    paid = cost_frac * np.abs(targets - position)
    # A short earns its lowest quantile at the return's highest.
    gains = np.where(targets[:, None] >= 0, rising, falling) * targets[:, None]
    profits = targets[:, None] * middles - paid[:, None]
    return ActionOutlook(
        horizon=horizon,
        position=position,
        targets=targets,
        levels=levels,
        quantiles=gains - paid[:, None],
        mean=profits.mean(axis=1),
        loss_probability=(profits < 0).mean(axis=1),
    )
