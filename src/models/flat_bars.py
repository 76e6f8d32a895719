"""The bars that policies are trained on, as tensors: R rows of all series, one after the other.

A model reads chunks of rows from it; the caller knows which rows belong to one series.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.config.trading import ActionKind
from src.execution.tape import Tape
from src.models.position_grid import PositionGrid, linear_terms, position_grid
from src.trading.rules import TradingRules


class FlatBars(NamedTuple):
    """Columns over R rows, all on one device."""

    features: Tensor  # (R, F)
    log_return: Tensor  # (R,) since the prior close, in units of reward
    cost_frac: Tensor  # (R,) at each open, per unit of exposure changed, in units of reward
    grid: PositionGrid | None  # None where actions are continuous


def flat_bars(features: NDArray[np.float32], tape: Tape, rules: TradingRules, device: torch.device) -> FlatBars:
    """Copy features (R, F) and what adaptation needs of a tape (R,) to a device."""
    columns = (np.array(features), *linear_terms(tape, rules))
    seen, log_return, cost_frac = (torch.from_numpy(column).to(device) for column in columns)
    if rules.action.kind is not ActionKind.discrete:
        return FlatBars(seen, log_return, cost_frac, None)
    return FlatBars(seen, log_return, cost_frac, PositionGrid(*(own.to(device) for own in position_grid(rules))))
