"""Trackers: where a training run's metrics go. TensorBoard, Weights & Biases, and `metrics.jsonl`, always kept.

A tracker touches nothing before the first `resume` or `log`. A resumed run calls `resume(step)` with the last step it
still has the state of: what had been logged for later steps is forgotten, so that every curve continues without a
second version of the same steps. Metric names are paths (`losses/policy_loss`), after cleanrl.
"""

import importlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from src.config.runtime import TrackingConfig
from src.errors import ConfigError
from src.storage import write_atomic

METRICS_FILE = "metrics.jsonl"
_WANDB_ID_FILE = "wandb_id.txt"


class Tracker(Protocol):
    """Takes the metrics of a run, one mapping per step."""

    def resume(self, step: int) -> None:
        """Continue after `step`, forgetting later ones; 0 starts anew. Call it before the first `log`."""
        ...

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of one step; steps increase."""
        ...

    def close(self) -> None:
        """Write out what is pending; nothing may be logged afterwards."""
        ...


def build_tracker(
    config: TrackingConfig, run_dir: Path, name: str, settings: Mapping[str, Any] | None = None
) -> Tracker:
    """Return the tracker that the settings ask for.

    Args:
        config: what is switched on.
        run_dir: folder of the run or stage; all files lie in it.
        name: how Weights & Biases shows the run.
        settings: resolved configuration, shown beside the curves.

    Raises:
        ConfigError: a tracker is switched on but its package is not installed.
    """
    trackers: list[Tracker] = [MetricsFile(run_dir / METRICS_FILE)]
    if config.tensorboard:
        trackers.append(TensorBoardTracker(run_dir))
    if config.wandb:
        trackers.append(WandbTracker(run_dir, config.wandb_project, name, config.wandb_mode, settings))
    return CompositeTracker(trackers)


class NullTracker:
    """Forgets everything."""

    def resume(self, step: int) -> None:
        """Do nothing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class CompositeTracker:
    """Passes everything on to several trackers."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def resume(self, step: int) -> None:
        """Resume each."""
        for tracker in self._trackers:
            tracker.resume(step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log to each."""
        for tracker in self._trackers:
            tracker.log(step, metrics)

    def close(self) -> None:
        """Close each, also when closing another one fails."""
        with ExitStack() as stack:
            for tracker in self._trackers:
                stack.callback(tracker.close)


class MetricsFile:
    """One JSON object a line: `{"step": 3, "losses/policy_loss": 0.01, ...}`, flushed at once.

    Numbers that are not finite are written as null: JSON has no word for them, and a gap in a curve is what they are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def resume(self, step: int) -> None:
        """Cut the file back to the lines up to `step`; a line half-written by a killed process goes too."""
        if self._path.exists():
            kept = [line for line in self._path.read_text().splitlines() if _step_of(line) <= step]
            write_atomic(self._path, "".join(f"{line}\n" for line in kept).encode())

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append a line."""
        values = {key: float(value) if math.isfinite(value) else None for key, value in metrics.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def close(self) -> None:
        """Do nothing: every line is already written."""


def read_metrics(path: Path) -> list[dict[str, float | None]]:
    """Return the lines of a `MetricsFile`, which may be growing; none where nothing was logged yet."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    return [json.loads(line) for line in lines if math.isfinite(_step_of(line))]


class TensorBoardTracker:
    """Scalars as TensorBoard event files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._module = _require("torch.utils.tensorboard", "tracking.tensorboard")
        self._folder = folder
        self._writer: Any = None

    def resume(self, step: int) -> None:
        """Have TensorBoard drop the points after `step` that earlier event files hold."""
        self._writer = self._module.SummaryWriter(str(self._folder), purge_step=step + 1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        if self._writer is None:
            self._writer = self._module.SummaryWriter(str(self._folder))
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()


class WandbTracker:
    """A Weights & Biases run whose local files lie under `folder/wandb`.

    The run's id is kept in `folder`, so that a resumed run continues the same curves. Curves are drawn over the
    training step, not over wandb's own counter, which cannot go back.
    """

    def __init__(
        self, folder: Path, project: str, name: str, mode: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._module = _require("wandb", "tracking.wandb")
        self._folder, self._id_file = folder, folder / _WANDB_ID_FILE
        self._options = {"project": project, "name": name, "mode": mode, "config": dict(settings or {})}
        self._run: Any = None

    def resume(self, step: int) -> None:
        """Continue the run whose id the folder holds, or start a new one at step 0."""
        known = self._id_file.read_text().strip() if step > 0 and self._id_file.exists() else None
        self._start(known)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Send one row."""
        if self._run is None:
            self._start(None)
        self._run.log({"step": step, **metrics})

    def close(self) -> None:
        """Finish the run; online, this waits for the upload."""
        if self._run is not None:
            self._run.finish()

    def _start(self, run_id: str | None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        quiet = self._module.Settings(console="off", silent=True)
        self._run = self._module.init(**self._options, id=run_id, resume="allow", dir=str(self._folder), settings=quiet)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        write_atomic(self._id_file, f"{self._run.id}\n".encode())


def _step_of(line: str) -> float:
    # A line that cannot be read was cut off by a kill and belongs to no step that is kept.
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf


def _require(module: str, setting: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{setting}=true needs a package that is not installed ({error.name}); "
            f"pip install 'supertrader[train]', or set {setting}=false"
        ) from error
