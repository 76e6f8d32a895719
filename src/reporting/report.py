"""The files of a result folder: `report.html` for people; `summary.json`, `steps.parquet`, `trades.csv` for programs.

Each is written beside its final name and renamed, so a folder never holds half a file.
"""

from pathlib import Path

from src.reporting.figures_file import SUMMARY_FILE, write_figures
from src.reporting.html.backtest_page import render_page
from src.reporting.steps_file import STEPS_FILE, write_steps
from src.reporting.summary import Report, summary_plain
from src.reporting.trades_file import TRADES_FILE, write_trades
from src.storage import write_atomic

REPORT_FILE = "report.html"


def write_result(folder: Path, report: Report) -> Path:
    """Write all four files into `folder`; returns the path of the page."""
    write_steps(folder / STEPS_FILE, report.records, report.bars, report.reviews)
    write_trades(folder / TRADES_FILE, report)
    write_summary(folder / SUMMARY_FILE, report)
    return write_report(folder, report)


def write_report(folder: Path, report: Report) -> Path:
    """Write the self-contained page `report.html` into `folder` and return its path."""
    return write_atomic(folder / REPORT_FILE, render_page(report).encode())


def write_summary(path: Path, report: Report) -> Path:
    """Write the figures as JSON: stable keys, null where undefined, never NaN."""
    return write_figures(path, summary_plain(report))
