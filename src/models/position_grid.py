"""`PositionGrid`: the states of an account that can be enumerated, and what changing between them earns and costs.

Account inputs other than the position are held at 0, their neutral value: a flat, fresh account's. They depend on how
an account came to where it is, which no enumeration of positions knows.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.config.base import require
from src.config.trading import ActionKind
from src.execution.costs import BPS
from src.execution.tape import Tape
from src.models.all_action import enumerated_rewards
from src.models.maml.support import Support
from src.trading.rules import TradingRules


class PositionGrid(NamedTuple):
    """The states of an account that are enumerated."""

    targets: Tensor  # (A,) exposures
    accounts: Tensor  # (A, C) account inputs when holding each of them

    def support(self, inputs: Tensor, log_return: Tensor, cost_frac: Tensor) -> Support:
        """Return the support of these inputs.

        Args:
            inputs: as in `Support`.
            log_return: (G, S) of the bar after each decision, in units of reward.
            cost_frac: (G, S) cost there per unit of exposure changed, in units of reward.
        """
        return Support(inputs, enumerated_rewards(self.targets, log_return, cost_frac), self.accounts)


def position_grid(rules: TradingRules) -> PositionGrid:
    """Return the grid of a run's rules.

    Raises:
        ConfigError: actions are continuous.
    """
    action = rules.action
    require(
        action.kind is ActionKind.discrete,
        f"the inner loop of MAML enumerates the targets of a grid and environment.action.kind was {action.kind.value};"
        " set environment.action.kind=discrete or leave the MAML stage out",
    )
    targets = torch.tensor(action.targets, dtype=torch.float32)
    accounts = torch.zeros(len(targets), len(rules.account_inputs))
    accounts[:, rules.account_inputs.index("exposure")] = targets / action.max_leverage
    return PositionGrid(targets, accounts)


def linear_terms(tape: Tape, rules: TradingRules) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return log-return and cost per unit of exposure changed at each bar, (T,) each, in units of reward.

    Costs are commission, half-spread and slippage; market impact and interest are left out, they depend on equity.
    A decision at bar t is paid by bar t + 1 and charged there.
    """
    cost = rules.costs.commission_bps * BPS + tape.half_spread + tape.slippage
    scale = rules.reward_scale
    return (tape.log_return * scale).astype(np.float32), (cost * scale).astype(np.float32)
