"""TensorBoard event files: curves over environment steps, pictures, settings, and a row among the hyperparameters."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.reporting.tracking.packages import require_package
from src.reporting.tracking.tracker import Moment, Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class TensorBoardTracker:
    """Event files in `folder`.

    Args:
        settings: as text, shown under TEXT.
    """

    def __init__(self, folder: Path, settings: str = "") -> None:
        self._module = require_package("torch.utils.tensorboard", "tracking.tensorboard")
        self._folder, self._settings = folder, settings
        self._writer: Any = None

    def resume(self, moment: Moment) -> None:
        """Have TensorBoard drop the points after `moment` that earlier event files hold."""
        self._start(purge_step=moment.env_steps + 1)

    def log(self, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Add one point to each curve."""
        writer = self._opened()
        for name, value in metrics.items():
            writer.add_scalar(name, value, moment.env_steps)
        writer.flush()

    def show(self, moment: Moment, name: str, picture: "Figure") -> None:
        """Add the picture under IMAGES."""
        self._opened().add_figure(name, picture, moment.env_steps, close=False)

    def finish(self, moment: Moment, outcome: Outcome) -> None:
        """Add a row under HPARAMS, where runs can be sorted by what they reached, and the verdict under TEXT."""
        from torch.utils.tensorboard.summary import hparams

        writer = self._opened()
        results = {name: value for name, value in outcome.results.items() if math.isfinite(value)}
        for summary in hparams(dict(outcome.hyperparameters), results):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(summary)
        for name, value in results.items():
            writer.add_scalar(name, value, moment.env_steps)
        if outcome.verdict:
            writer.add_text("verdict", outcome.verdict, moment.env_steps)
        writer.flush()

    def part(self, name: str) -> "TensorBoardTracker":
        """Return a tracker whose curves TensorBoard lists as a run of its own, in the folder of the part."""
        return TensorBoardTracker(self._folder / name)

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> Any:
        if self._writer is None:
            self._start(purge_step=None)
        return self._writer

    def _start(self, purge_step: int | None) -> None:
        self._writer = self._module.SummaryWriter(str(self._folder), purge_step=purge_step)
        if self._settings:
            indented = "\n".join(f"    {line}" for line in self._settings.splitlines())  # as code, in Markdown
            self._writer.add_text("settings", indented, 0)
