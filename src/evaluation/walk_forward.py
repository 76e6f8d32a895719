"""Walk-forward folds: fit on the past, test on the rows that follow, move on.

The test parts touch and never overlap, so what was earned on them, put end to end, is one out-of-sample record.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.errors import DataError
from src.evaluation.bootstrap import Interval, sharpe_interval
from src.evaluation.returns import ReturnMetrics, return_metrics
from src.market.bars import FloatArray


@dataclass(frozen=True)
class Fold:
    """Rows to fit on and the later rows to test on."""

    train: range
    test: range


def walk_forward_folds(
    rows: range, folds: int, test_bars: int, embargo_bars: int = 0, train_bars: int | None = None
) -> list[Fold]:
    """Return folds in order of time; their test parts tile the last `folds * test_bars` rows.

    Args:
        rows: consecutive usable rows.
        folds: how many.
        test_bars: rows of each test part.
        embargo_bars: rows between a training part and its test part, used by neither.
        train_bars: rows of each training part; None lets it grow from the first row.

    Raises:
        DataError: a size is not positive, or the first training part does not fit.
    """
    assert rows.step == 1, f"rows must be consecutive, step was {rows.step}"
    if folds < 1 or test_bars < 1 or embargo_bars < 0 or (train_bars is not None and train_bars < 1):
        raise DataError(
            f"walk-forward needs folds, test_bars and train_bars >= 1 and embargo_bars >= 0, "
            f"had {folds}, {test_bars}, {train_bars} and {embargo_bars}"
        )
    needed = folds * test_bars + embargo_bars + (train_bars or 1)
    if len(rows) < needed:
        raise DataError(
            f"{folds} walk-forward folds of {test_bars} bars need {needed} bars in all, had {len(rows)}; "
            "load more bars, or ask for fewer or shorter folds"
        )
    found = []
    for start in range(rows.stop - folds * test_bars, rows.stop, test_bars):
        fitted = start - embargo_bars
        first = rows.start if train_bars is None else fitted - train_bars
        found.append(Fold(range(first, fitted), range(start, start + test_bars)))
    return found


@dataclass(frozen=True)
class Stitched:
    """One record of several accounts.

    Attributes:
        equity: (T,) chained from 1.
        metrics: of that equity. sharpe_interval: of its returns; None without variance or for too few bars.
    """

    equity: FloatArray
    metrics: ReturnMetrics
    sharpe_interval: Interval | None


def stitch(parts: Sequence[FloatArray], bars_per_year: float, rng: np.random.Generator) -> Stitched:
    """Chain the simple returns (T,) of consecutive test parts; `rng` draws the resamples of the interval."""
    returns = np.concatenate(parts)
    growth = 1.0 + np.maximum(returns, -1.0)  # nobody lends to an account that is gone
    equity: FloatArray = np.cumprod(growth, dtype=np.float64)
    return Stitched(equity, return_metrics(equity, bars_per_year, 1.0), sharpe_interval(returns, bars_per_year, rng))
