"""When leaving out defective rows would change what a file says: too many of them, or those above a price alone."""

import numpy as np
from numpy.typing import NDArray

from src.market.quality.defects import CandleColumns, Mask, bad_prices, is_rising

DROP_FRAC = 0.05  # of the rows may leave; beside them minutes without a trade
DROP_ROWS = 5  # rows that may leave a file of any length
ROUND_PRICES = (1_000.0, 1_000_000.0)  # where thousands are separated
NEAR_FRAC = 0.1  # of such a price, within which the market has to be where rows leave
RUNS = 3  # stretches of leaving rows; fewer may be chance


def why_too_much(every: CandleColumns, leaving: Mask) -> tuple[str, ...]:
    """Return what speaks against leaving rows out, whole sentences; none if nothing does.

    Args:
        every: T rows of a file.
        leaving: mask (T,). Rows without any price and volume say that nobody traded, and may leave in any number.
    """
    reasons = []
    counted = leaving & ~_without_trade(every)
    if counted.sum() > max(DROP_FRAC * len(counted), DROP_ROWS):
        reasons.append(
            f"data.drop_defective would leave out {int(counted.sum()):,} of {len(counted):,} rows, and at most"
            f" {DROP_FRAC:.0%} may: what is wrong with them is no exception; mend the source"
        )
    if level := _split_by_price(every, leaving):
        reasons.append(
            f"data.drop_defective would leave bars {level} only, since rows leave where the price comes near it: are"
            " thousands separated in these rows? mend the source"
        )
    return tuple(reasons)


def _without_trade(every: CandleColumns) -> Mask:
    nobody = np.isnan(every.volume) | (every.volume == 0)
    for column in every.prices.T:
        nobody &= np.isnan(column)
    return np.asarray(nobody)


def _split_by_price(every: CandleColumns, leaving: Mask) -> str:
    # On which side of a round price all bars lie that are left, if rows leave where the price comes near it.
    order = slice(None) if is_rising(every.open_time) else np.argsort(every.open_time, kind="stable")
    leaving, sound = leaving[order], (~(leaving | bad_prices(every)))[order]
    prices = every.prices[order]
    before = _closes_before_runs(prices[:, 3], leaving, sound)
    if len(before) < RUNS:
        return ""
    for level in ROUND_PRICES:
        if (np.abs(before / level - 1) < NEAR_FRAC).all():
            if prices[sound, 1].max() < level:
                return f"below {level:,.0f}"
            if prices[sound, 2].min() >= level:
                return f"above {level:,.0f}"
    return ""


def _closes_before_runs(close: NDArray[np.float64], leaving: Mask, sound: Mask) -> NDArray[np.float64]:
    # The last sound close before each stretch of leaving rows.
    starts = np.flatnonzero(leaving & ~np.append(False, leaving[:-1]))
    last_sound = np.maximum.accumulate(np.where(sound, np.arange(len(sound)), -1))
    rows = last_sound[starts]
    return close[rows[rows >= 0]]
