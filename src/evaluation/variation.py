"""Whether returns vary enough for a Sharpe ratio: a mean over rounding noise, or over one odd bar, says nothing.

An account that only pays interest loses about the same in every bar, and one that paid a single fee loses in that bar
alone. Their Sharpe ratios would run into the millions, with intervals far from 0.
"""

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray

FEWEST_MOVES = 3  # bars
_NOISE = 1e-14  # what rounding makes of equal returns
_HARDLY = 0.1  # of a mean, or of the usual return
_TINY = 1e-3  # of the largest move: interest on a fee, beside the fee


def why_no_sharpe(returns: FloatArray) -> str:
    """Say why returns a bar (T,) have no Sharpe ratio; empty if they have one.

    They have none if fewer than `FEWEST_MOVES` of them differ from the usual one by more than a tenth of it and a
    thousandth of the largest such difference, or if their deviation is less than a tenth of their mean.
    """
    if len(returns) <= FEWEST_MOVES:
        return f"it takes more than {FEWEST_MOVES} bars"
    usual = float(np.median(returns[:: max(1, len(returns) // 5)]))  # where all but two are alike, any five show it
    apart = np.abs(returns - usual)
    moves = int(np.count_nonzero(apart > max(_NOISE, _HARDLY * abs(usual), _TINY * apart.max())))
    if moves == 0 and abs(usual) <= _NOISE:
        return "nothing was earned or lost"
    if moves < FEWEST_MOVES:
        which = f"all but {moves} of {len(returns):,}" if moves else "all"
        return f"{which} returns are nearly equal"
    return "" if varies(returns.mean(), returns.std(ddof=1)) else "its returns hardly vary"


def varies(mean: FloatArray | float, deviation: FloatArray | float) -> NDArray[np.bool_]:
    """Return whether returns of a mean and standard deviation (...) vary, (...)."""
    return np.asarray(deviation > np.maximum(_NOISE, _HARDLY * np.abs(mean)))
