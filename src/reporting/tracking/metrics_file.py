"""`metrics.jsonl`: every metric of a run, one JSON object a line, for people and programs without a tracker."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.reporting.tracking.tracker import Moment, Outcome
from src.storage import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS_FILE = "metrics.jsonl"


class MetricsFile:
    """Lines such as `{"step": 3, "env_steps": 49152, "losses/policy_loss": 0.01, ...}`, flushed at once.

    Numbers that are not finite are written as null: JSON has no word for them, and a gap in a curve is what they are.

    Args:
        folder: of the run; the file lies in it as `METRICS_FILE`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / METRICS_FILE

    def resume(self, moment: Moment) -> None:
        """Cut the file back to the lines up to the step; a line half-written by a killed process goes too."""
        if self._path.exists():
            kept = [line for line in self._path.read_text().splitlines() if _step_of(line) <= moment.step]
            write_atomic(self._path, "".join(f"{line}\n" for line in kept).encode())

    def log(self, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Append a line."""
        values = {key: float(value) if math.isfinite(value) else None for key, value in metrics.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({**moment._asdict(), **values}) + "\n")

    def show(self, moment: Moment, name: str, picture: "Figure") -> None:
        """Do nothing: pictures are for those who look."""

    def finish(self, moment: Moment, outcome: Outcome) -> None:
        """Do nothing: `result.json` has it."""

    def part(self, name: str) -> "MetricsFile":
        """Return the file in the folder of the part."""
        return MetricsFile(self._path.parent / name)

    def close(self) -> None:
        """Do nothing: every line is already written."""


def read_metrics(path: Path) -> list[dict[str, float | None]]:
    """Return the lines of a `MetricsFile`, which may be growing; none where nothing was logged yet."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [json.loads(line) for line in lines if math.isfinite(_step_of(line))]


def _step_of(line: str) -> float:
    # A line that cannot be read was cut off by a kill and belongs to no step that is kept.
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf
