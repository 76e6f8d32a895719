"""Who does what in a mixture of experts: each one's share of the bars, and what the market was like on them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Specialist(NamedTuple):
    """One expert. The market it serves is the bar after each decision, weighted by what the gate gave it there."""

    load: float  # mean weight
    leads: float  # fraction of bars on which its weight is the largest
    drift: float  # mean log-return, in standard deviations of all bars
    volatility: float  # root mean square log-return, in those of all bars
    persistence: float  # of a return in the next one: above 0 moves go on, below 0 they turn back


def specialists(weights: NDArray[np.floating], log_returns: NDArray[np.floating]) -> list[Specialist]:
    """Describe every expert.

    Args:
        weights: (T, E) at each decision; rows sum to 1.
        log_returns: (T + 1,) of each bar and of the one after the last.
    """
    assert len(log_returns) == len(weights) + 1, "each decision has a bar before it and one after"
    before, after = log_returns[:-1], log_returns[1:]
    leads = np.bincount(weights.argmax(1), minlength=weights.shape[1]) / len(weights)
    spread = max(float(np.sqrt(np.mean(after**2))), np.finfo(float).tiny)
    return [
        Specialist(
            load=float(own.mean()),
            leads=float(leads[expert]),
            drift=_ratio(own @ after, own.sum() * spread),
            volatility=float(np.sqrt(_ratio(own @ after**2, own.sum() * spread**2))),
            persistence=_ratio(own @ (before * after), own @ before**2),
        )
        for expert, own in enumerate(weights.T)
    ]


def _ratio(part: float, whole: float) -> float:
    # An expert that is never asked, and a market that stands still, have nothing to tell.
    return float(part / whole) if whole > 0 else 0.0
