"""`PreparedPanel`: a panel, everything precomputed from it, and the rows on which decisions may be taken."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.config.trading import CostsConfig
from src.errors import DataError
from src.execution.panel_tape import PanelTape, build_panel_tape
from src.market.panel import BoolArray, Panel
from src.trading.prepared_market import FittedPipeline


@dataclass(frozen=True)
class PreparedPanel:
    """The exogenous half of the world, the same whatever a member does.

    Attributes:
        panel: the S symbols.
        features: (T, S, F) float32, finite. At a row without a bar they are those of the symbol's last bar; before its
            features are valid they are 0.
        is_known: (T, S), whether the features of a symbol are valid and it can be traded.
        tape: what the ledger needs of each row.
        rows: on which decisions may be taken; the order of row t fills at row t + 1, which exists.
    """

    panel: Panel
    features: NDArray[np.float32]
    is_known: BoolArray
    tape: PanelTape
    rows: range


def prepare_panel(panel: Panel, pipeline: FittedPipeline, costs: CostsConfig, rows: range) -> PreparedPanel:
    """Compute features and tape for decisions on `rows`, each symbol's features from its own bars.

    Rows before any symbol's features are valid, and the last row, after which nothing could fill, are left out.

    Raises:
        DataError: no row is left.
    """
    length, symbols = panel.close.shape
    features = np.zeros((length, symbols, len(pipeline.columns)), np.float32)
    is_known = np.zeros((length, symbols), np.bool_)
    for number, symbol in enumerate(panel.symbols):
        own = np.flatnonzero(panel.has_bar[:, number])
        valid = own[pipeline.warmup_bars :]
        if len(valid) == 0:
            continue
        columns = pipeline.transform(panel.series(symbol))
        newest = np.cumsum(panel.has_bar[:, number]) - 1
        features[valid[0] :, number] = columns[newest[valid[0] :]]
        is_known[valid, number] = panel.listed[valid, number]
    first = int(np.argmax(is_known.any(axis=1))) if is_known.any() else length
    usable = range(max(rows.start, first), min(rows.stop, length - 1))
    if len(usable) == 0:
        raise DataError(
            f"{panel.name}: no row of {rows} can be decided on; no symbol has more than the {pipeline.warmup_bars} "
            f"bars of warm-up before the last of {length} rows; use longer series"
        )
    return PreparedPanel(panel, features, is_known, build_panel_tape(panel, costs), usable)
