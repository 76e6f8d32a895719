"""Refuses what sees the future, by asking it again without the future, and what needs more of the past than it says."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from src.errors import DataError, LookaheadError
from src.market.bars import BarSeries, FloatArray
from src.seeding import generator

_CUTS = 8
_ROWS = 10  # that must come out the same from their own history
_SAME = 1e-6  # how closely, as for features that a live bot computes
_ROUNDING = 1e-9  # relative where values are beyond 1; sums may be taken in another order on a longer series


def require_causal(
    what: str,
    compute: Callable[[BarSeries], FloatArray],
    bars: BarSeries,
    first_row: int = 0,
    last_rows: Iterable[int] = (),
    rounding: float = _ROUNDING,
) -> None:
    """Compute on series that end at random rows, and compare each row with that of the whole series.

    Args:
        what: is called so in messages.
        compute: returns one row a bar, (T,) or (T, k).
        bars: the whole series; where it is cut follows from its length and from `what`.
        first_row: rows before it are not looked at.
        last_rows: further rows at which the series is to end.
        rounding: by how much a row may differ, relative where values are beyond 1.

    Raises:
        LookaheadError: a row changes with bars after it.
        DataError: a value is not a finite number, or there is not one row a bar.
    """
    whole = _computed(what, compute, bars, first_row)
    for stop in sorted({*_cuts(what, first_row + 1, len(bars)), *(row + 1 for row in last_rows)}):
        part = _computed(what, compute, bars[:stop], first_row)
        row = _first(np.abs(part - whole[:stop]) > rounding * np.maximum(1.0, np.abs(part)), first_row)
        if row is not None:
            raise LookaheadError(
                f"{what} looks ahead: {_named(bars, row)} comes out otherwise once the bars from row {stop} on are "
                "known; a row may depend on the bars up to its own only"
            )


def require_own_history(
    what: str,
    compute: Callable[[BarSeries], FloatArray],
    last: Callable[[BarSeries], FloatArray],
    bars: BarSeries,
    first_row: int,
    claim: str,
) -> None:
    """Compare rows with what comes out of the trailing bars alone, which is all that a live bot holds.

    Args:
        what: is called so in messages.
        compute: returns one row a bar, (T,) or (T, k).
        last: returns the last row, () or (k,), from as many trailing bars as it is said to need.
        bars: the whole series.
        first_row: rows before it are not looked at.
        claim: how many bars it is said to need, such as `lookback_bars=20`.

    Raises:
        DataError: a row comes out otherwise.
    """
    values = compute(bars)
    for row in range(first_row, len(bars), max(1, len(bars) // _ROWS)):
        if (np.abs(last(bars[: row + 1]) - values[row]) > _SAME * np.maximum(1.0, np.abs(values[row]))).any():
            raise DataError(
                f"{what} says {claim}, but {_named(bars, row)} comes out otherwise from that many bars alone; raise it "
                "until a bot, which holds no more, computes what a backtest does"
            )


def require_finite(what: str, values: FloatArray, bars: BarSeries, first_row: int = 0) -> None:
    """Refuse values, (T,) or (T, k), that are not finite numbers from a row on.

    Raises:
        DataError: naming the first row.
    """
    if values.ndim == 0 or len(values) != len(bars):
        raise DataError(f"{what} returned values of shape {values.shape} for {len(bars)} bars; return one row a bar")
    row = _first(~np.isfinite(values), first_row)
    if row is not None:
        raise DataError(f"{what} is not a finite number at {_named(bars, row)}")


def _cuts(what: str, first: int, stop: int) -> set[int]:
    # At random, one in each part of the series; more of them early, where more of the future can be missing.
    parts = (np.arange(_CUTS) + generator(0, "cuts", what).random(_CUTS)) / _CUTS
    return {first + int(part**2 * (stop - first)) for part in parts} if first < stop else set()


def _computed(what: str, compute: Callable[[BarSeries], FloatArray], bars: BarSeries, first_row: int) -> FloatArray:
    values = np.asarray(compute(bars), dtype=np.float64)
    require_finite(what, values, bars, first_row)
    return values


def _first(bad: NDArray[np.bool_], first_row: int) -> int | None:
    # The first row from `first_row` on that holds something bad, (T,) or (T, k).
    rows = np.flatnonzero(bad.reshape(len(bad), -1)[first_row:].any(axis=1))
    return first_row + int(rows[0]) if len(rows) else None


def _named(bars: BarSeries, row: int) -> str:
    return f"row {row} ({np.datetime64(int(bars.open_time[row]), 'ms').astype('datetime64[s]')} UTC)"
