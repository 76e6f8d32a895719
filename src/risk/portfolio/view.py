"""`PortfolioView`: what stations of a portfolio know of its symbols at a close, and what they work out from it.

Targets and positions are (N, S) for N accounts and S symbols. A symbol that cannot trade keeps what is held of it, so
limits count over those that can. What a station lets through is never larger in size than what came in.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.market.panel import BoolArray
from src.risk.stations.station import ReviewContext

TINY = 1e-300  # divides zero to zero


class PortfolioView(NamedTuple):
    """The symbols of a portfolio at a close, known from the past only."""

    can_trade: BoolArray  # (S,): has a bar at this close, and is listed
    sectors: NDArray[np.int64]  # (S,): equal numbers are one sector
    correlation: FloatArray  # (S, S): of trailing returns; 0 where too little is known


def view_of(context: ReviewContext) -> PortfolioView:
    """Return the view of a context that is one of a portfolio."""
    assert context.portfolio is not None, "stations of a portfolio review portfolios"
    return context.portfolio


def held_exposure(context: ReviewContext) -> FloatArray:
    """Return the exposure that is held of each symbol, (N, S); 0 for accounts without equity."""
    accounts = context.accounts
    equity = np.where(accounts.equity > 0, accounts.equity, np.inf)[..., None]
    return np.asarray(accounts.units * accounts.last_close / equity)


def tradable(context: ReviewContext, target: Any) -> FloatArray:
    """Return the targets of symbols that can trade, (N, S), 0 for the others."""
    return np.where(view_of(context).can_trade, target, 0.0)


def scaled_to(context: ReviewContext, target: FloatArray, total: FloatArray, limit: Any) -> FloatArray:
    """Return targets (N, S) of which those that can trade are scaled towards flat where a total exceeds its limit.

    Args:
        total: of the targets that can trade, (N, 1), or (N, S) if each symbol has one of its own.
    """
    most = np.maximum(limit, 0.0)
    exceeds = view_of(context).can_trade & (total > most)
    return np.where(exceeds, target * (most / np.maximum(total, TINY)), target)


def conviction(context: ReviewContext, target: FloatArray) -> FloatArray:
    """Return how much speaks for each target, (N, S): its size times the confidence in it."""
    return np.asarray(np.abs(target) * context.confidence)
