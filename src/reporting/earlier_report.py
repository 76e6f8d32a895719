"""`keep_earlier`: what a new report does with one of something else that has its folder."""

import hashlib
import json
from pathlib import Path

from src.errors import DataError
from src.reporting.figures_file import COMPARISON_FILE, SUMMARY_FILE, read_figures

_SUBJECT = ("model", "model_sha256", "data_fingerprint", "split", "costs", "config", "limits")


def keep_earlier(folder: Path, new: Path) -> Path | None:
    """Move the report in a folder out of the way, if it is of something else than the new one.

    The same models on the same bars under the same settings are the same thing, and their report may be replaced. One
    of anything else goes to a folder whose name ends in a short hash of what it is of.

    Args:
        folder: may hold a report.
        new: folder of the new report.

    Returns:
        Where the earlier report is now; None if there was none, or one of the same thing.
    """
    earlier = _subject(folder)
    if earlier is None or earlier == _subject(new):
        return None
    kept = folder.with_name(f"{folder.name}_{earlier}")
    kept.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.replace(kept / path.name)
    folder.rmdir()
    return kept


def _subject(folder: Path) -> str | None:
    # A short hash of what a report is of; None for a folder without one.
    path = next((folder / name for name in (SUMMARY_FILE, COMPARISON_FILE) if (folder / name).exists()), None)
    if path is None:
        return None
    try:
        figures = read_figures(path)
        described = [model["description"] for model in figures.get("models", [figures])]
        subjects = [[model[key] for key in _SUBJECT] for model in described]
        about = json.dumps([subjects, figures["first_day"], figures["last_day"]])
    except (DataError, KeyError, TypeError):  # damaged, or of another version
        about = path.read_text(errors="replace")
    return hashlib.sha256(about.encode()).hexdigest()[:8]
