"""`positions.parquet`: what happened to each holding, a row a bar and symbol; `steps.parquet`: to the account."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from src.reporting.portfolio.summary import PortfolioReport
from src.storage import write_atomic

POSITIONS_FILE = "positions.parquet"
ACCOUNT_FIELDS = ("financing", "equity", "reward", "terminated")
_UTC = pa.timestamp("ms", tz="UTC")


def write_positions(path: Path, report: PortfolioReport) -> Path:
    """Write a row for each bar and listed symbol: target, units, fills, exposure, what was `wanted`, and `reason`.

    What a delisting closed stands in a row of the bar after the last.
    """
    records, panel = report.records._asdict(), report.panel
    listed = panel.listed | (report.records.call_units != 0)
    times = np.broadcast_to(panel.close_time[:, None], listed.shape)
    of_holdings = {name: records[name] for name in records if name not in (*ACCOUNT_FIELDS, "close_time")}
    columns: dict[str, Any] = {
        "close_time": pa.array(times[listed], _UTC),
        "symbol": pa.array(np.broadcast_to(np.array(panel.symbols), listed.shape)[listed]).dictionary_encode(),
        "has_bar": panel.has_bar[listed],
        "mark": report.marks[listed],
        "wanted": report.wanted[listed],
        **{name: np.asarray(column)[listed] for name, column in of_holdings.items()},
        "exposure": report.exposures[listed],
        "reason": pa.array(_reasons(report)[listed]).dictionary_encode(),
    }
    return _write(path, columns)


def write_account_steps(path: Path, report: PortfolioReport) -> Path:
    """Write a row for each bar: equity, interest, reward, exposure gross and net, fills' costs over all symbols."""
    records, exposure = report.records, report.exposures
    columns: dict[str, Any] = {
        "close_time": pa.array(report.panel.close_time, _UTC),
        **{name: np.asarray(getattr(records, name)) for name in ACCOUNT_FIELDS},
        **{name: np.asarray(getattr(records, name)).sum(axis=1) for name in ("commission", "spread", "slippage")},
        "gross_exposure": np.abs(exposure).sum(axis=1),
        "net_exposure": exposure.sum(axis=1),
    }
    return _write(path, columns)


def _reasons(report: PortfolioReport) -> NDArray[np.object_]:
    # Of the stations that changed the target of a symbol at a bar, in order, (T, S).
    reasons = np.full(report.panel.listed.shape, "", dtype=object)
    for row, changes in enumerate(report.changes):
        for change in changes:
            for column in np.flatnonzero(change.before != change.after):
                said = f"{change.station}: {change.reason}"
                reasons[row, column] = f"{reasons[row, column]}; {said}" if reasons[row, column] else said
    return reasons


def _write(path: Path, columns: dict[str, Any]) -> Path:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return write_atomic(path, buffer.getvalue().to_pybytes())
