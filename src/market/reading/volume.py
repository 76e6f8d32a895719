"""Which column holds volume, where a file has several, or none that says anything."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from src.market.bars import FloatArray

_NONE = -1.0  # Interactive Brokers, where there is no volume


class Volume(NamedTuple):
    """Volume (T,), the position of its column (None: there is none) and a remark if there was a choice or a gap."""

    values: FloatArray
    place: int | None
    remark: str


def is_average_price(values: FloatArray, prices: Mapping[str, FloatArray]) -> bool:
    """Say whether a column (T,) is no volume but an average price: it lies between `low` and `high` (T,) everywhere."""
    if not {"low", "high"} <= set(prices) or not len(values):
        return False
    return bool(((values >= prices["low"]) & (values <= prices["high"])).all())


def choose_volume(columns: Mapping[int, FloatArray], names: Sequence[str], rows: int) -> Volume:
    """Return the first column that holds any volume, else the first; zeros where there is none.

    Args:
        columns: position and values (T,) of every column that could hold volume, the likeliest first.
        names: of all columns of the file.
        rows: T.
    """
    if not columns:
        return Volume(
            np.zeros(rows), None, "there is no column of volume; volume is 0 throughout (data.columns.volume)"
        )
    place = next((place for place, values in columns.items() if (values > 0).any()), next(iter(columns)))
    values, name = columns[place], names[place]
    if rows and np.isnan(values).all():
        return Volume(np.zeros(rows), place, f"'{name}' holds no number; volume is 0 throughout (data.columns.volume)")
    if rows and (values == _NONE).all():
        return Volume(np.zeros(rows), place, f"'{name}' is -1, which means none: volume is 0 throughout")
    others = ", ".join(f"'{names[other]}'" for other in columns if other != place)
    told = f"volume is taken from '{name}', not from {others}; data.columns.volume names another" if others else ""
    return Volume(values, place, told)
