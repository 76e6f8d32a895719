"""What the reader took a price file for, beside the bars it read: every guess, and what was left aside.

A raw frame keeps every row of the file in its order: duplicates, gaps, empty prices and impossible candles are judged
later (`market/quality`).
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Understanding:
    """How a file was read.

    `columns` maps our names to the file's, joined ones with ` + ` (`{"open_time": "Date + Time"}`). `remarks` are whole
    sentences, one for each guess, that name the setting by which it is overridden. `others` (T, ...) are the columns
    that were not taken, under their own names, row for row as in the raw frame.
    """

    name: str  # of the file, or `table of SYMBOL`
    columns: dict[str, str]
    layout: str = ""  # kind of file, encoding, delimiter, decimal sign, header lines
    time_format: str = ""  # `ISO 8601`, `seconds since 1970`, `%d.%m.%Y %H:%M`
    zone: str = "UTC"  # of the times as they stand in the file: `UTC`, `+08:00`, `America/New_York`
    adjusted_by: str = ""  # column by which prices were adjusted for splits or dividends; empty: taken as they stand
    others: pd.DataFrame = field(default_factory=pd.DataFrame)
    remarks: tuple[str, ...] = ()


class Reading(NamedTuple):
    """A raw frame and how it was understood.

    Columns: `open_time` int64 UTC milliseconds; `open`, `high`, `low`, `close`, `volume` float64, NaN where not a
    number. Where bars follow a calendar or a clock with daylight saving (months, four hours from the close in New
    York), `grid_time` int64 holds the times that they would have, were all of them equally long.
    """

    frame: pd.DataFrame
    understood: Understanding

    def of_rows(self, rows: NDArray[np.bool_]) -> "Reading":
        """Return the rows of a mask (T,); they keep their labels, which are the row numbers of the file."""
        understood = replace(self.understood, others=self.understood.others[rows])
        return Reading(self.frame[rows], understood)
