"""Figures for programs: the JSON file of a result folder, one for each kind of result."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.errors import DataError
from src.storage import write_atomic

SUMMARY_FILE, COMPARISON_FILE, ROLLING_FILE = "summary.json", "comparison.json", "rolling.json"


def write_figures(path: Path, figures: Mapping[str, Any]) -> Path:
    """Write figures as JSON: stable keys, null where undefined, never NaN."""
    text = json.dumps(figures, indent=2, allow_nan=False, default=str)
    return write_atomic(path, f"{text}\n".encode())


def read_figures(path: Path) -> dict[str, Any]:
    """Read back what `write_figures` wrote.

    Raises:
        DataError: the file cannot be read or holds no figures.
    """
    try:
        figures = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); make the report anew") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); make the report anew") from error
    if not isinstance(figures, dict):
        raise DataError(f"{path} holds no figures; make the report anew")
    return figures
