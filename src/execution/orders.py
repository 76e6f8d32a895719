"""`Orders` and `Fills`: what accounts ask for, and what became of it. One entry per account, in the accounts' shape."""

from typing import Any, NamedTuple


class Orders(NamedTuple):
    """Market orders."""

    units: Any  # signed units to trade, 0 for none
    target: Any  # exposure the account has once they are filled, as a fraction of equity


class Fills(NamedTuple):
    """Executions. Money is in quote currency; costs are positive and add up to what trading took from the account."""

    units: Any  # signed units traded
    price: Any  # execution price, spread and slippage included; 0 where nothing traded
    paid: Any  # signed: units * price, what left the account for the units, commission aside
    commission: Any
    spread: Any
    slippage: Any  # market impact included


def add_fills(first: Fills, then: Fills) -> Fills:
    """Return the sum of two fills (...) of one bar; its price holds where an account traded in one of them only."""
    return Fills(*[one + other for one, other in zip(first, then, strict=True)])
