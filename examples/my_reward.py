"""A reward of your own: growth of equity, where a loss weighs twice what a gain of the same size does.

    python run_training.py "plugins=[examples.my_reward]" environment.reward.kind=loss_averse

Losses loom larger than gains (Kahneman and Tversky, Econometrica 47, 1979). docs/howto/own_reward.md explains every
part.
"""

from types import ModuleType
from typing import Any

from src.execution.ledger import Accounts
from src.execution.tape import Tape
from src.trading.rewards import RewardFormula, log_growth
from src.trading.rules import TradingRules

LOSS_WEIGHT = 2.0


def loss_averse(xp: ModuleType, before: Accounts, after: Accounts, target: Any, bar: Tape, rules: TradingRules) -> Any:
    """Return the log growth of equity over the bar, losses times LOSS_WEIGHT, in the shape of the accounts."""
    growth = log_growth(xp, before.equity, after.equity)
    return growth + (LOSS_WEIGHT - 1.0) * xp.minimum(growth, 0.0)


# Found because it is a RewardFormula at the top level of a module named under `plugins`.
LOSS_AVERSE = RewardFormula("loss_averse", loss_averse)
