"""NumPy's function names for plain Python floats: the array namespace of a single account.

The ledger is written once against the Python array API. Given NumPy or torch it steps any number of accounts; given
this module it steps one account of floats, without the microsecond each array call costs. Results equal the NumPy ones
bit for bit, because +, -, *, / and square root are correctly rounded everywhere and `log` is NumPy's own.
"""

import builtins
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

float32 = np.float32
float64 = float

abs = builtins.abs
sqrt = math.sqrt
isfinite = math.isfinite


def where(condition: bool, chosen: float, otherwise: float) -> float:
    """Return `chosen` if the condition holds."""
    return chosen if condition else otherwise


def minimum(a: float, b: float) -> float:
    """Return the smaller."""
    return a if a < b else b


def maximum(a: float, b: float) -> float:
    """Return the larger."""
    return a if a > b else b


def log(x: float) -> float:
    """Return the natural logarithm as NumPy rounds it; `math.log` differs in the last bit now and then."""
    return float(np.log(x))


def logical_not(claim: bool) -> bool:
    """Return the opposite."""
    return not claim


def all(claim: bool) -> bool:
    """Return the claim: one account is all accounts."""
    return claim


def any(claim: bool) -> bool:
    """Return the claim: one account is all accounts."""
    return claim


def full(shape: tuple[int, ...], value: float, *, dtype: type = float, device: None = None) -> float:
    """Return the value; the only shape is that of one account, ()."""
    assert shape == (), f"one account of floats has shape (), not {shape}"
    return float(value)


def zeros_like(value: float) -> float:
    """Return zero."""
    return 0.0


def stack(values: Sequence[float], axis: int = -1) -> NDArray[np.float64]:
    """Return the values as one (C,) array."""
    return np.array(values)


def astype(values: NDArray[np.float64], dtype: type[np.float32]) -> NDArray[np.float32]:
    """Convert what `stack` returned, (C,)."""
    return values.astype(dtype)
