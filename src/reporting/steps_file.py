"""`steps.parquet`: what happened to an account, one row a bar."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from src.market.bars import PRICE_COLUMNS, BarSeries
from src.reporting.stations import review_columns
from src.storage import write_atomic
from src.trading.records import Reviews, StepRecord

STEPS_FILE = "steps.parquet"

_STEP_TYPES = {"close_time": np.int64, "terminated": np.bool_}  # every other column is float64
_TIMES = ("open_time", "close_time")
_UTC = pa.timestamp("ms", tz="UTC")


def step_columns(records: StepRecord, bars: BarSeries, reviews: Reviews | None = None) -> dict[str, NDArray[Any]]:
    """Return the columns (T,) of `steps.parquet`, times as UTC milliseconds.

    The bar's times and prices, then what is named in `StepRecord`. Where decisions were reviewed, also what was
    `wanted` and the `reason` why something else is in force.
    """
    known = {name: getattr(bars, name) for name in (*_TIMES, *PRICE_COLUMNS)}
    happened: dict[str, NDArray[Any]] = {
        name: np.asarray(column, dtype=_STEP_TYPES.get(name, np.float64)) for name, column in records._asdict().items()
    }
    return known | happened | ({} if reviews is None else review_columns(reviews))


def write_steps(path: Path, records: StepRecord, bars: BarSeries, reviews: Reviews | None = None) -> Path:
    """Write `step_columns` as parquet; times are timestamps in UTC."""
    columns = step_columns(records, bars, reviews)
    times = {name: pa.array(columns[name], _UTC) for name in _TIMES}
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({**columns, **times}), buffer, compression="zstd")
    return write_atomic(path, buffer.getvalue().to_pybytes())


def read_steps(path: Path) -> StepRecord:
    """Read back the records that `write_steps` wrote."""
    table = pq.read_table(path, columns=list(StepRecord._fields))
    columns = {name: table[name].to_numpy() for name in StepRecord._fields}
    return StepRecord(**columns | {"close_time": columns["close_time"].astype(np.int64)})
