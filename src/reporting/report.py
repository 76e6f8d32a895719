"""The files of a result folder: `report.html` for people, `summary.json` and `steps.parquet` for programs.

Each is written beside its final name and renamed, so a folder never holds half a file.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from src.reporting.html.backtest_page import render_page
from src.reporting.summary import Report, summary_plain
from src.storage import write_atomic
from src.trading.records import StepRecord

REPORT_FILE, SUMMARY_FILE, STEPS_FILE = "report.html", "summary.json", "steps.parquet"

_STEP_TYPES = {"close_time": np.int64, "terminated": np.bool_}  # every other column is float64


def write_result(folder: Path, report: Report) -> Path:
    """Write all three files into `folder`; returns the path of the page."""
    write_steps(folder / STEPS_FILE, report.records)
    write_summary(folder / SUMMARY_FILE, report)
    return write_report(folder, report)


def write_report(folder: Path, report: Report) -> Path:
    """Write the self-contained page `report.html` into `folder` and return its path."""
    return write_atomic(folder / REPORT_FILE, render_page(report).encode())


def write_summary(path: Path, report: Report) -> Path:
    """Write the figures as JSON: stable keys, null where undefined, never NaN."""
    text = json.dumps(summary_plain(report), indent=2, allow_nan=False, default=str)
    return write_atomic(path, f"{text}\n".encode())


def write_steps(path: Path, records: StepRecord) -> Path:
    """Write records of (T,) arrays as parquet: one row a bar, columns named as in `StepRecord`."""
    columns: dict[str, NDArray[Any]] = {
        name: np.asarray(column, dtype=_STEP_TYPES.get(name, np.float64)) for name, column in records._asdict().items()
    }
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return write_atomic(path, buffer.getvalue().to_pybytes())


def read_steps(path: Path) -> StepRecord:
    """Read back what `write_steps` wrote."""
    table = pq.read_table(path, columns=list(StepRecord._fields))
    return StepRecord(*(table[name].to_numpy() for name in StepRecord._fields))
