"""Has the price been held at some recent level? Evidence over every bar a range could have begun at.

A range pulls the price towards the level at which it was entered. For an entry `age` bars ago at level a, the
log-likelihood ratio of the pull against a driftless walk sums -pull * d * (m + pull / 2 * d) over the bars since, where
m is a bar's move and d the distance from a before it. Entries are weighted by how likely a range lasts that long
(Shiryaev 1963, for a level that is not known). All in units of the calm bar's standard deviation.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from src.market.bars import FloatArray

ENTRY_BARS = 128  # entries further back are not considered
_BLOCK_BARS = 288  # keeps what is worked on in the processor's cache


class EntryEvidence(NamedTuple):
    """What is known at the close of each bar, each (T,).

    Attributes:
        log_odds: of a range that began within the last 128 bars, against a walk; up to a constant.
        distance: of the close from the level, given the range, on average.
        uncertainty: standard deviation of the level.
        age: bars since the entry, on average.
    """

    log_odds: FloatArray
    distance: FloatArray
    uncertainty: FloatArray
    age: FloatArray


def entry_evidence(levels: FloatArray, pull: float, stay: float, rows: int | None = None) -> EntryEvidence:
    """Weigh the entries of each bar, or of the last `rows` bars.

    Args:
        levels: (T + 1,) log prices: before the first bar, then at each close.
        pull: share of the distance that a ranging price loses in a bar.
        stay: probability that a range lasts another bar.
    """
    bars = len(levels) - 1
    first = 0 if rows is None else bars - rows
    before, after = np.repeat(levels[0], ENTRY_BARS - 1), np.repeat(levels[-1], ENTRY_BARS)
    padded = np.concatenate([before, levels, after])
    blocks = [
        _weigh(padded[start : start + min(_BLOCK_BARS, bars - start) + 2 * ENTRY_BARS], pull, stay)
        for start in range(first, bars, _BLOCK_BARS)
    ]
    return EntryEvidence(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def _weigh(levels: FloatArray, pull: float, stay: float) -> EntryEvidence:
    # levels: the entries of the first bar, oldest first; then the closes, and as many again as an entry looks ahead.
    # In place wherever it can be: the arrays are larger than what is done with them.
    bars = len(levels) - 2 * ENTRY_BARS
    paths = sliding_window_view(levels, ENTRY_BARS + 1)[: bars + ENTRY_BARS - 1]  # (entries, 129)
    moves = sliding_window_view(np.diff(levels), ENTRY_BARS)[: len(paths)]
    distances = paths[:, :-1] - paths[:, :1]
    ratios = pull / 2 * distances
    ratios += moves
    ratios *= distances
    np.cumsum(ratios, axis=1, out=ratios)  # (entries, bars after entry)
    row, column = ratios.strides
    # A bar's entries lie on a diagonal: one bar later is one row down, one bar older is one row up and one column on.
    by_age = as_strided(ratios[ENTRY_BARS - 1 :], (bars, ENTRY_BARS), (row, column - row), writeable=False)
    ages = np.arange(ENTRY_BARS, dtype=np.float64)
    weights = -pull * by_age
    weights += ages * np.log(stay)
    best = weights.max(axis=1, keepdims=True)
    weights -= best
    np.exp(weights, out=weights)
    total = weights.sum(axis=1, keepdims=True)
    weights /= total
    distance = levels[ENTRY_BARS : ENTRY_BARS + bars, None] - sliding_window_view(levels, ENTRY_BARS)[:bars, ::-1]
    mean = np.einsum("ij,ij->i", weights, distance)
    distance -= mean[:, None]
    spread = np.sqrt(np.einsum("ij,ij,ij->i", weights, distance, distance))
    return EntryEvidence((best + np.log(total))[:, 0], mean, spread, weights @ ages)
