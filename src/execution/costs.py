"""What a fill costs, per bar, as fractions of the traded notional.

Everything here is known before the bar opens: volatility and volume are those of the bars before it, so the cost of a
fill at the open of bar t never depends on bar t. Not here: who pays them (`simulated.py`, `ledger.py`).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from src.config.trading import CostsConfig
from src.errors import DataError
from src.market.bars import BarSeries, FloatArray

BPS = 1e-4
TRAILING_BARS = 64
MAX_IMPACT_FRAC = 0.5  # an order many times the market's volume has no sensible price; the law stops here


def trading_cost_frac(costs: CostsConfig) -> float:
    """Return what a trade of one unit of notional costs where nothing depends on volatility, volume or size."""
    return (costs.commission_bps + costs.half_spread_bps + costs.slippage_bps) * BPS


def trailing_mean(values: FloatArray, bars: int = TRAILING_BARS) -> FloatArray:
    """Return the mean of the `bars` values before each row, (T,); fewer at the start, 0 at row 0.

    Each row is summed afresh, so it does not depend on where the series began.
    """
    padded = np.concatenate([np.zeros(bars), values[:-1]])
    count = np.minimum(np.arange(len(values)), bars)
    return np.asarray(sliding_window_view(padded, bars).sum(axis=1) / np.maximum(count, 1))


def trailing_volatility(bars: BarSeries) -> FloatArray:
    """Return the root mean square log-return of the bars before each row, (T,)."""
    return np.sqrt(trailing_mean(bars.log_returns**2))


def slippage_frac(bars: BarSeries, fixed_bps: float, per_volatility: float) -> FloatArray:
    """Return the fraction lost between the open and the execution price, (T,).

    A fixed part plus `per_volatility` times the trailing volatility of one bar.
    """
    fixed = np.full(len(bars), fixed_bps * BPS)
    return fixed + per_volatility * trailing_volatility(bars) if per_volatility > 0 else fixed


def impact_per_root_notional(bars: BarSeries, coefficient: float) -> FloatArray:
    """Return the factor k of the square-root law, (T,): trading a notional Q moves the price by the fraction k·√Q.

    The law is I = Y * sigma * sqrt(Q / V) with volatility sigma and volume V of the same span (Almgren et al. 2005;
    Toth et al. 2011, arXiv 1105.1628). The span cancels, so both are taken per bar; V is in quote currency.

    Raises:
        DataError: the law is asked for and a stretch of `TRAILING_BARS` bars has no volume at all.
    """
    if coefficient == 0:
        return np.zeros(len(bars))
    volume = trailing_mean(bars.volume * bars.close)
    silent = np.flatnonzero(volume[1:] <= 0)
    if silent.size:
        raise DataError(
            f"{bars.symbol}: costs.impact needs volume, but the bars before row {int(silent[0]) + 1} traded none; "
            "set costs.impact to 0 for this market"
        )
    volume[0] = np.inf  # nothing is known before the first bar, and nothing can fill there
    return coefficient * trailing_volatility(bars) / np.sqrt(volume)
