"""How an account adds up over what it holds, and how what it is reaches each holding.

An account of one market holds one thing, and both are the identity. Accounts of several, (...), carry a trailing axis
of S assets on units, targets, entry values and prices, (..., S), and none on cash and equity; their array namespace is
an `AssetAxis` around the usual one.
"""

from types import ModuleType
from typing import Any


class AssetAxis(ModuleType):
    """An array namespace for accounts that hold several assets.

    Args:
        xp: NumPy, or `array_api_compat.torch`.
    """

    def __init__(self, xp: ModuleType) -> None:
        super().__init__(f"{xp.__name__} with assets")
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._xp, name)
        setattr(self, name, found)  # the next time it is asked for, it is there
        return found


def total(xp: ModuleType, values: Any) -> Any:
    """Add what belongs to each asset to what belongs to the account, (..., S) -> (...).

    In halves, always the same ones: so one account and many, NumPy and torch, get the same bits.
    """
    if type(xp) is not AssetAxis:  # twice as fast as isinstance, which the single account feels
        return values
    while (assets := values.shape[-1]) > 1:
        half = assets // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        if assets % 2:
            folded[..., 0] += values[..., -1]
        values = folded
    return values[..., 0]


def each(xp: ModuleType, values: Any) -> Any:
    """Give what belongs to the account to each asset, (...) -> (..., 1); plain numbers stay as they are."""
    return values[..., None] if type(xp) is AssetAxis and hasattr(values, "ndim") else values
