"""`PreparedMarket`: one series, everything precomputed from it, and the rows on which decisions may be taken."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from src.config.trading import CostsConfig
from src.errors import DataError
from src.execution.tape import Tape, build_tape
from src.market.bars import BarSeries, FloatArray


class FittedPipeline(Protocol):
    """What turns bars into the columns a policy reads: a feature pipeline, or a mind on top of one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the F columns."""
        ...

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that decide a row."""
        ...

    @property
    def warmup_bars(self) -> int:
        """Rows at the start whose features are not yet valid."""
        ...

    @property
    def parts(self) -> Mapping[str, Callable[[BarSeries], FloatArray]]:
        """What a row is made of, by name; each returns its own columns, (T, k), unscaled."""
        ...

    def transform(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return causal features, (T, F)."""
        ...

    def latest(self, bars: BarSeries) -> NDArray[np.float32]:
        """Return the last row of `transform` within 1e-6, (F,), from the trailing `history_bars` alone."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Return what was fitted as tensors and plain data, for a model file."""
        ...


@dataclass(frozen=True)
class PreparedMarket:
    """The exogenous half of the world, the same whatever the agent does.

    Attributes:
        bars: the series.
        features: (T, F) float32, finite.
        tape: what the ledger needs of each bar.
        rows: rows on which decisions may be taken; the order of row t fills at row t + 1, which exists in the series.
        is_mirror: whether it is another market upside down, there only to be learned from.
    """

    bars: BarSeries
    features: NDArray[np.float32]
    tape: Tape
    rows: range
    is_mirror: bool = False


def prepare_market(bars: BarSeries, pipeline: FittedPipeline, costs: CostsConfig, rows: range) -> PreparedMarket:
    """Compute features and tape of a series for decisions on `rows`.

    Rows in the warm-up, and the last bar of the series, after which nothing could fill, are left out.

    Raises:
        DataError: no row is left.
    """
    usable = range(max(rows.start, pipeline.warmup_bars), min(rows.stop, len(bars) - 1))
    if len(usable) == 0:
        raise DataError(
            f"{bars.symbol}: no row of {rows} can be decided on after {pipeline.warmup_bars} warm-up bars and before "
            f"the last of {len(bars)} bars; use a longer series"
        )
    return PreparedMarket(bars, pipeline.transform(bars), build_tape(bars, costs), usable)
