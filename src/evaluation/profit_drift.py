"""`ProfitDrift`: has the mean profit of a bar fallen? A sequential test that seldom says so by luck.

Page, "Continuous Inspection Schemes", Biometrika 41 (1954): profits z, standardised by a reference, are added up as

    S[t] = max(0, S[t-1] - z[t] - k),    alarm when S reaches h

which is the quickest test there is for a fall of 2k at a given rate of false alarms. h follows from the mean number of
bars between false alarms by Siegmund's approximation (Sequential Analysis, 1985) of the average run length for normal
increments of mean d (d = -k before the fall):

    ARL = (exp(-2 d b) + 2 d b - 1) / (2 d²),    b = h + 1.166

Ours apart from the paper: profits need not be independent, so they are measured in standard deviations of their long
run, under an autoregression of order one as in `significance.py`; and the mean of the reference is an estimate, so it
is lowered by some standard errors first, or a lucky reference would call every market changed.
"""

from dataclasses import dataclass
from math import exp, inf, sqrt
from typing import Any

import numpy as np
from scipy.optimize import brentq

from src.config.stages.self_modification import ProfitDriftConfig
from src.errors import DataError
from src.evaluation.significance import track_record
from src.market.bars import FloatArray

SHORTEST_REFERENCE = 100  # bars
_OVERSHOOT = 1.166  # by which a sum of normals exceeds both borders together, on average


@dataclass(frozen=True)
class Reference:
    """Profits as they were: mean of a bar, long-run standard deviation of a bar, and bars they were measured on."""

    mean: float
    deviation: float
    bars: int


def reference_of(profits: FloatArray) -> Reference:
    """Measure profits per bar, (T,), of an agent on data it did not learn from.

    Raises:
        DataError: fewer than `SHORTEST_REFERENCE` bars, or profits that do not vary or are not finite.
    """
    if len(profits) < SHORTEST_REFERENCE:
        raise DataError(f"a reference of profits needs at least {SHORTEST_REFERENCE} bars, had {len(profits)}")
    rho = track_record(profits).autocorrelation
    deviation = float(np.std(profits, ddof=1)) * sqrt((1 + rho) / (1 - rho))
    return Reference(float(np.mean(profits)), deviation, len(profits))


class ProfitDrift:
    """The test of one agent: it takes profits as they come, any number at a time.

    Attributes:
        threshold: h, in standard deviations of a bar.
    """

    def __init__(self, reference: Reference, config: ProfitDriftConfig) -> None:
        self._allowance = config.shift_deviations / 2
        self._expected = reference.mean - config.reference_errors * reference.deviation / sqrt(reference.bars)
        self._deviation = reference.deviation
        self.threshold = threshold_for(config.bars_between_false_alarms, config.shift_deviations)
        self._sum = self._highest = 0.0

    def update(self, profits: FloatArray) -> FloatArray:
        """Take in profits per bar, (T,); return the statistic after each in units of the threshold, (T,): 1 is alarm.

        Raises:
            DataError: a profit is not finite.
        """
        if not np.isfinite(profits).all():
            raise DataError("profits hold a value that is not finite; the test of profit drift takes numbers only")
        falls = (self._expected - profits) / self._deviation - self._allowance
        path = self._sum + np.cumsum(falls)
        statistic: FloatArray = path - np.minimum(np.minimum.accumulate(path), 0.0)
        if len(statistic):
            self._sum = float(statistic[-1])
            self._highest = max(self._highest, float(statistic.max()))
        return statistic / self.threshold

    @property
    def level(self) -> float:
        """The highest statistic since the last reset, in units of the threshold: the metric `profit_drift`."""
        return self._highest / self.threshold

    def reset(self) -> None:
        """Begin anew, as one does after an alarm."""
        self._sum = self._highest = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain data."""
        return {"sum": self._sum, "highest": self._highest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._sum, self._highest = state["sum"], state["highest"]


def average_run_length(threshold: float, shift_deviations: float, fall: float) -> float:
    """Return the mean number of bars until alarm when the mean has fallen by `fall`, in standard deviations.

    Args:
        threshold: h.
        shift_deviations: the fall that is looked for, 2k; `fall` = 0 gives the bars between false alarms.
    """
    drift, border = fall - shift_deviations / 2, threshold + _OVERSHOOT
    product = 2 * drift * border
    if abs(product) < 1e-4:
        return float(border**2)  # the limit
    if product < -700:
        return inf
    return float((exp(-product) + product - 1) / (2 * drift**2))


def threshold_for(bars_between_false_alarms: float, shift_deviations: float) -> float:
    """Return h at which an unchanged market is called changed once in so many bars on average.

    Raises:
        DataError: the test would alarm more seldom than asked for even at h = 0.
    """

    def excess(threshold: float) -> float:
        return average_run_length(threshold, shift_deviations, 0.0) - bars_between_false_alarms

    if excess(0.0) >= 0:
        raise DataError(
            f"bars_between_false_alarms={bars_between_false_alarms:g} is too few for "
            f"shift_deviations={shift_deviations:g}; ask for more bars"
        )
    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(brentq(excess, 0.0, high))
