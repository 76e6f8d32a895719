"""`steps.parquet`: what happened to an account, one row a bar."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from src.reporting.stations import step_columns
from src.storage import write_atomic
from src.trading.records import Reviews, StepRecord

STEPS_FILE = "steps.parquet"

_STEP_TYPES = {"close_time": np.int64, "terminated": np.bool_}  # every other column is float64


def write_steps(path: Path, records: StepRecord, reviews: Reviews | None = None) -> Path:
    """Write records of (T,) arrays as parquet: one row a bar, columns named as in `StepRecord`.

    Where decisions were reviewed, also what was `wanted` and the `reason` why something else is in force.
    """
    columns: dict[str, NDArray[Any]] = {
        name: np.asarray(column, dtype=_STEP_TYPES.get(name, np.float64)) for name, column in records._asdict().items()
    }
    if reviews is not None:
        columns |= step_columns(reviews)
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return write_atomic(path, buffer.getvalue().to_pybytes())


def read_steps(path: Path) -> StepRecord:
    """Read back what `write_steps` wrote."""
    table = pq.read_table(path, columns=list(StepRecord._fields))
    return StepRecord(*(table[name].to_numpy() for name in StepRecord._fields))
