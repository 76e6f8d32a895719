"""`Tape`: all the ledger needs to know of each bar, computed ahead of time.

The market does not hear us, so prices, costs and the passing of time are columns that any number of accounts share.
"""

from typing import Any, NamedTuple

import numpy as np

from src.config.trading import CostsConfig
from src.execution.costs import BPS, TRAILING_BARS, impact_per_root_notional, slippage_frac
from src.market.bars import YEAR_MS, BarSeries, timeframe_ms

DAY_MS = 86_400_000
TAPE_BARS = TRAILING_BARS + 2  # costs look back so far, and the first log-return of a series is unknown


class Tape(NamedTuple):
    """Columns of a series, (T,), or those of the bars some accounts are on, in any shape that broadcasts with theirs.

    All float64, so that a tape can be stored as one array.
    Columns are NumPy arrays as built, and may be tensors: `Tape(*map(torch.tensor, tape))`.
    """

    open: Any
    high: Any
    low: Any
    close: Any
    half_spread: Any  # fraction of the notional filled at this open
    slippage: Any  # fraction of the notional filled at this open
    impact: Any  # fraction per square root of the notional filled at this open
    years: Any  # since the prior close
    log_return: Any  # since the prior close
    new_day: Any  # 1 for the first bar to close in its UTC day, else 0

    def at(self, rows: Any) -> "Tape":
        """Return the bars of `rows`: an array of rows of any shape, or a slice."""
        return Tape(*[column[rows] for column in self])

    def bar(self, row: int) -> "Tape":
        """Return one bar as Python floats, for a single account."""
        return Tape(*[column.item(row) for column in self])


def build_tape(bars: BarSeries, costs: CostsConfig) -> Tape:
    """Compute the columns of a series.

    The first bar has no prior close: it is one bar long, and its log-return is 0. A bar belongs to the UTC day in which
    it closes, midnight itself to the day that ends.
    """
    day = (bars.close_time - 1) // DAY_MS
    elapsed_ms = np.diff(bars.close_time, prepend=bars.close_time[0] - timeframe_ms(bars.timeframe))
    return Tape(
        open=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        half_spread=np.full(len(bars), costs.half_spread_bps * BPS),
        slippage=slippage_frac(bars, costs.slippage_bps, costs.slippage_volatility),
        impact=impact_per_root_notional(bars, costs.impact),
        years=elapsed_ms / YEAR_MS,
        log_return=bars.log_returns,
        new_day=(np.diff(day, prepend=day[0] - 1) != 0).astype(np.float64),
    )
