"""`MarketModule`: the one protocol of everything that reads bars ahead of an agent."""

from collections.abc import Mapping
from typing import Any, Protocol

from src.errors import ModelFileError
from src.market.bars import BarSeries, FloatArray


class MarketModule(Protocol):
    """Named columns computed from closed bars; row t uses bars up to t only."""

    @property
    def name(self) -> str:
        """What the user writes to choose it."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the k columns."""
        ...

    @property
    def history_bars(self) -> int:
        """Trailing bars, the current one included, that decide a row, whatever came before them."""
        ...

    def transform(self, bars: BarSeries) -> FloatArray:
        """Return the columns, (T, k) float64, finite everywhere."""
        ...

    def last_rows(self, bars: BarSeries, rows: int) -> FloatArray:
        """Return the last rows of `transform` within 1e-6, (rows, k), as cheaply as it can."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Return the fitted state as tensors and plain data, for a model file."""
        ...


def latest(module: MarketModule, bars: BarSeries) -> FloatArray:
    """Return the last row of `transform` within 1e-6, (k,), from the trailing `history_bars` alone.

    That is what a live caller needs; the same bars give the same bits, whatever series they are the end of.
    """
    row: FloatArray = module.last_rows(bars[max(0, len(bars) - module.history_bars) :], 1)[0]
    return row


def require_version(name: str, plain: Mapping[str, Any], version: int) -> None:
    """Refuse the saved state of a module that another version of its code wrote.

    Raises:
        ModelFileError: `plain` lacks a version or has another one.
    """
    if plain.get("version") != version:
        raise ModelFileError(
            f"the model's {name} has version {plain.get('version')}, this code has {version}; train it again"
        )
