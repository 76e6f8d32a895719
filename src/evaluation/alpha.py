"""What a strategy earned beyond holding the market at the same exposure: its alpha, and how sure it is.

A strategy that is long half of the time has half of what the market earned by luck of the market alone, one with
leverage has more than all of it. The regression of its returns on those of the market takes either off
(Jensen, "The Performance of Mutual Funds in the Period 1945-1964", 1968).
"""

from typing import NamedTuple

from src.market.bars import FloatArray

_NO_VARIANCE = 1e-28  # of a market that stands still


class Alpha(NamedTuple):
    """Of returns (T,) on those of the market.

    Attributes:
        exposure: slope of the regression; 1 earned what holding earned, 0 for a market that did not move.
        returns: (T,) with the intercept as mean, and the long-run variance of its estimate as their own: what is said
            of the mean of `returns` is said of alpha.
    """

    exposure: float
    returns: FloatArray


def alpha_of(returns: FloatArray, market: FloatArray) -> Alpha:
    """Regress simple returns per bar, (T,), on those of holding the market over the same bars."""
    mean, deviations = float(market.mean()), market - market.mean()
    variance = float(deviations @ deviations) / len(market)
    if variance <= _NO_VARIANCE:
        return Alpha(0.0, returns)
    exposure = float(deviations @ returns) / len(market) / variance
    beyond = returns - exposure * market
    alpha = float(beyond.mean())
    influence = (beyond - alpha) * (1.0 - mean / variance * deviations)  # of each bar on the estimate of alpha
    return Alpha(exposure, alpha + influence)
