"""Which column holds volume, where a file has several, or none that says anything."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from src.market.bars import FloatArray

_NONE = -1.0  # Interactive Brokers, where there is no volume
_MIN_TRADED = 10  # bars, with fewer of which money and pieces are not told apart
_NEARLY_ALL = 0.99  # of the bars
_ROUNDING = 1e-3  # of money and pieces


class Volume(NamedTuple):
    """Volume (T,), the positions of its column or of those it is the sum of, and a remark if it is not self-evident."""

    values: FloatArray
    places: tuple[int, ...]
    remark: str


def is_average_price(values: FloatArray, prices: Mapping[str, FloatArray]) -> bool:
    """Say whether a column (T,) is no volume but an average price: it lies between `low` and `high` (T,) everywhere."""
    if not {"low", "high"} <= set(prices) or not len(values):
        return False
    return bool(((values >= prices["low"]) & (values <= prices["high"])).all())


def is_money_for(values: FloatArray, pieces: FloatArray, prices: Mapping[str, FloatArray]) -> bool:
    """Say whether a column (T,) is the money that was paid for `pieces` (T,): one by the other is an average price.

    Near a price of 1, where either could be the money for the other, it is not.
    """
    traded = (values > 0) & (pieces > 0)
    if traded.sum() < _MIN_TRADED or not {"low", "high"} <= set(prices):
        return False
    low, high = prices["low"][traded] * (1 - _ROUNDING), prices["high"][traded] * (1 + _ROUNDING)
    price = values[traded] / pieces[traded]
    paid, reverse = (float(((each >= low) & (each <= high)).mean()) for each in (price, 1 / price))
    return paid >= _NEARLY_ALL > reverse


def summed_volume(columns: Mapping[int, FloatArray], names: Sequence[str], is_told: bool) -> Volume:
    """Return the sum of several columns (T,), such as those of rising and falling trades; `is_told`: by the user."""
    both = " and ".join(f"'{names[place]}'" for place in columns)
    remark = "" if is_told else f"volume is the sum of {both}; data.columns.volume names another"
    return Volume(np.sum(list(columns.values()), axis=0), tuple(columns), remark)


def choose_volume(columns: Mapping[int, FloatArray], names: Sequence[str], rows: int) -> Volume:
    """Return the first column that holds any volume, else the first; zeros where there is none.

    Args:
        columns: position and values (T,) of every column that could hold volume, the likeliest first.
        names: of all columns of the file.
        rows: T.
    """
    if not columns:
        return Volume(np.zeros(rows), (), "there is no column of volume; volume is 0 throughout (data.columns.volume)")
    place = next((place for place, values in columns.items() if (values > 0).any()), next(iter(columns)))
    values, name = columns[place], names[place]
    if rows and np.isnan(values).all():
        return Volume(
            np.zeros(rows), (place,), f"'{name}' holds no number; volume is 0 throughout (data.columns.volume)"
        )
    if rows and (values == _NONE).all():
        return Volume(np.zeros(rows), (place,), f"'{name}' is -1, which means none: volume is 0 throughout")
    others = ", ".join(f"'{names[other]}'" for other in columns if other != place)
    told = f"volume is taken from '{name}', not from {others}; data.columns.volume names another" if others else ""
    return Volume(values, (place,), told)
