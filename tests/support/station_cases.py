"""Accounts at a close, as stations see them."""

from typing import Any

import numpy as np

from src.execution import scalar
from src.execution.ledger import Accounts, open_accounts
from src.risk.stations.station import ReviewContext


def holding(exposure: float, target: float | None = None, equity: float = 1000.0, close: float = 100.0) -> Accounts:
    """One account of floats whose position is worth that fraction of its equity; the target in force is the same."""
    units = exposure * equity / close
    return open_accounts(scalar, (), equity, close)._replace(
        cash=equity - units * close, units=units, target=exposure if target is None else target
    )


def context_of(
    accounts: Accounts,
    confidence: float = 1.0,
    prior_close: float | None = None,
    orders_last_hour: int = 0,
    rebalance_band: float | None = None,
) -> ReviewContext:
    """The context of one account of floats; the close before was the same unless given."""
    prior = accounts.last_close if prior_close is None else prior_close
    return ReviewContext(scalar, accounts, confidence, prior, orders_last_hour, rebalance_band)


def arrays(contexts: list[ReviewContext]) -> ReviewContext:
    """The same accounts as arrays (N,)."""

    def joined(values: list[Any]) -> Any:
        return np.array(values)

    accounts = Accounts(*[joined(list(column)) for column in zip(*[each.accounts for each in contexts], strict=True)])
    return ReviewContext(
        np,  # type: ignore[arg-type]
        accounts,
        joined([each.confidence for each in contexts]),
        joined([each.prior_close for each in contexts]),
        joined([each.orders_last_hour for each in contexts]),
        contexts[0].rebalance_band,
    )
