"""`PanelTape`: what the ledger needs to know of each bar of a panel, computed ahead of time; a `Tape` with assets.

Where a symbol has no bar its prices are its last close, which marks what is held of it, and nothing of it fills. Before
its first bar they are 1 and belong to nothing.
"""

from typing import Any, NamedTuple

import numpy as np

from src.config.trading import CostsConfig
from src.execution.tape import DAY_MS, Tape, build_tape
from src.market.bars import PRICE_COLUMNS, YEAR_MS, FloatArray, timeframe_ms
from src.market.panel import Panel

_OF_EACH_FILL = ("half_spread", "slippage", "impact")


class PanelTape(NamedTuple):
    """Columns of a panel, (T, S), or those of the bars some accounts are on; those of the account are (T,).

    Named and defined as in `Tape`.
    """

    open: Any
    high: Any
    low: Any
    close: Any
    half_spread: Any
    slippage: Any
    impact: Any
    years: Any  # (T,)
    log_return: Any
    new_day: Any  # (T,)
    has_bar: Any  # bool: the symbol has a bar, so orders for it fill
    is_delisted: Any  # bool: the first row after the last in which the symbol was listed

    def at(self, rows: Any) -> "PanelTape":
        """Return the bars of `rows`: a row, an array of rows of any shape, or a slice."""
        return PanelTape(*[column[rows] for column in self])


def build_panel_tape(panel: Panel, costs: CostsConfig) -> PanelTape:
    """Compute the columns of a panel; costs of a symbol are those of its own series.

    Raises:
        DataError: market impact is asked for, and a symbol has no volume.
    """
    marks = np.where(np.isnan(panel.last_close), 1.0, panel.last_close)
    prices = {name: np.where(panel.has_bar, getattr(panel, name), marks) for name in PRICE_COLUMNS}
    costs_of_fills = {name: np.zeros(marks.shape) for name in _OF_EACH_FILL}
    for number, symbol in enumerate(panel.symbols):
        _place(costs_of_fills, panel, number, build_tape(panel.series(symbol), costs))
    day = (panel.close_time - 1) // DAY_MS
    elapsed_ms = np.diff(panel.close_time, prepend=panel.close_time[0] - timeframe_ms(panel.timeframe))
    was_marked = np.isfinite(np.vstack([np.full((1, marks.shape[1]), np.nan), panel.last_close[:-1]]))
    before = np.vstack([marks[:1], marks[:-1]])
    is_delisted = np.zeros(marks.shape, dtype=np.bool_)
    is_delisted[1:] = panel.listed[:-1] & ~panel.listed[1:]
    return PanelTape(
        **prices,
        **costs_of_fills,
        years=elapsed_ms / YEAR_MS,
        log_return=np.log(np.where(was_marked, marks / before, 1.0)),
        new_day=(np.diff(day, prepend=day[0] - 1) != 0).astype(np.float64),
        has_bar=panel.has_bar,
        is_delisted=is_delisted,
    )


def _place(columns: dict[str, FloatArray], panel: Panel, number: int, tape: Tape) -> None:
    # What fills of one symbol cost, in the rows in which it has bars.
    for name, column in columns.items():
        column[panel.has_bar[:, number], number] = getattr(tape, name)
