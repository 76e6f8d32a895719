"""`are_plain`: a few bars in a row in which a judgement could find nothing.

A live bot gets two at each candle, and judging them as a frame would take longer than deciding on them.
"""

import numpy as np

from src.market.bars import FloatArray

MOST_ROWS = 3  # in more there may be patterns that no bar shows by itself
MOST_APART = 2.0  # between the highest and the lowest price: far from what counts as a spike


def are_plain(table: FloatArray, step_ms: int) -> bool:
    """Say whether bars are sound by themselves, follow one another without a gap, and barely move.

    Args:
        table: (T, 6) opening time, open, high, low, close, volume.
    """
    if not 0 < len(table) <= MOST_ROWS or table.shape[1] != 6 or not np.isfinite(table).all():
        return False
    times, (opened, high, low, close), volume = table[:, 0], table[:, 1:5].T, table[:, 5]
    contains = (high >= np.maximum(opened, close)).all() and (low <= np.minimum(opened, close)).all()
    in_a_row = (np.diff(times) == step_ms).all() and (times % step_ms == 0).all()
    return bool(contains and in_a_row and low.min() > 0 and high.max() < MOST_APART * low.min() and volume.min() >= 0)
