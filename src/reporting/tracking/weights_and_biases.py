"""Weights & Biases: a run per stage and per member, grouped by training run, and the model as an artifact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.reporting.tracking.packages import require_package
from src.reporting.tracking.tracker import Moment, Outcome
from src.storage import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ID_FILE = "wandb_id.txt"


@dataclass(frozen=True)
class RunLabels:
    """How Weights & Biases shows a run.

    Attributes:
        group: what the stages of one training run have in common.
        kind: of work, such as `ppo` or `member`.
        tags: by which runs are filtered.
    """

    project: str
    name: str
    mode: str
    group: str = ""
    kind: str = ""
    tags: tuple[str, ...] = ()


class WandbTracker:
    """A run whose local files lie under `folder/wandb`.

    The run's id is kept in `folder`, so that a resumed run continues the same curves. Curves are drawn over the
    environment steps, not over wandb's own counter, which cannot go back.
    """

    def __init__(self, folder: Path, labels: RunLabels, settings: Mapping[str, Any] | None = None) -> None:
        self._module = require_package("wandb", "tracking.wandb")
        self._folder, self._labels, self._settings = folder, labels, dict(settings or {})
        self._run: Any = None

    def resume(self, moment: Moment) -> None:
        """Continue the run whose id the folder holds, or start a new one at the start."""
        id_file = self._folder / _ID_FILE
        self._start(id_file.read_text().strip() if moment.step > 0 and id_file.exists() else None)

    def log(self, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Send one row."""
        self._opened().log({**moment._asdict(), **metrics})

    def show(self, moment: Moment, name: str, picture: "Figure") -> None:
        """Send the picture."""
        self._opened().log({**moment._asdict(), name: self._module.Image(picture)})

    def finish(self, moment: Moment, outcome: Outcome) -> None:
        """Fill the run's summary, and keep the model with its verdict as an artifact."""
        run = self._opened()
        run.config.update({"hyperparameters": dict(outcome.hyperparameters)}, allow_val_change=True)
        run.summary.update({**outcome.results, "verdict": outcome.verdict})
        if outcome.model is not None:
            name = self._labels.name.replace("/", "-")
            about = {**outcome.about, **outcome.results, "verdict": outcome.verdict}
            artifact = self._module.Artifact(name, type="model", metadata=about)
            artifact.add_file(str(outcome.model))
            run.log_artifact(artifact)

    def part(self, name: str) -> "WandbTracker":
        """Return a run of its own in the same group."""
        labels = replace(self._labels, name=f"{self._labels.name}/{name}", kind=name.split("/")[0])
        return WandbTracker(self._folder / name, labels, self._settings)

    def close(self) -> None:
        """Finish the run; online, this waits for the upload."""
        if self._run is not None:
            self._run.finish()

    def _opened(self) -> Any:
        if self._run is None:
            self._start(None)
        return self._run

    def _start(self, run_id: str | None) -> None:
        labels = self._labels
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = self._module.init(
            project=labels.project,
            name=labels.name,
            mode=labels.mode,
            group=labels.group or None,
            job_type=labels.kind or None,
            tags=labels.tags,
            config=self._settings,
            id=run_id,
            resume="allow",
            reinit="create_new",  # a member's run is open beside that of its stage
            dir=str(self._folder),
            settings=self._module.Settings(console="off", silent=True),
        )
        self._run.define_metric("env_steps")
        self._run.define_metric("*", step_metric="env_steps")
        write_atomic(self._folder / _ID_FILE, f"{self._run.id}\n".encode())
