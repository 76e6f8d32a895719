"""`Progress`: how far a stage is and how long it will take. A live bar on a terminal, log lines elsewhere."""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as LiveProgress

from src.reporting.terminal.logging_and_tables import terminal

logger = logging.getLogger(__name__)


class Progress:
    """Context manager around a loop of `total` updates.

    Args:
        name: what is under way.
        total: value of `done` at the end.
        enabled: False shows nothing at all.
        line_seconds: time between two lines where there is no terminal; the first and last update always show.
    """

    def __init__(self, name: str, total: int, enabled: bool = True, line_seconds: float = 10.0) -> None:
        self._name, self._total, self._line_seconds = name, total, line_seconds
        live = enabled and terminal().is_terminal
        self._lines = enabled and not live
        self._bar = _live_bar() if live else None
        self._task = self._bar.add_task(name, total=total, figures="", left="") if self._bar else None
        self._started = self._last_line = time.monotonic()
        self._latest: dict[str, float] = {}
        self._begun_at: int | None = None  # value of `done` before the first update: above 0 for a resumed run

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        self._started = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, figures: Mapping[str, float] | None = None) -> None:
        """Show that `done` of the total are finished, and the latest of each figure."""
        now = time.monotonic()
        first = self._begun_at is None
        if self._begun_at is None:
            self._begun_at = done - 1
        self._latest |= figures or {}
        shown = _figures(self._latest)
        left = _duration(self._seconds_left(done, now))
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, figures=shown, left=left)
        elif self._lines and (first or done >= self._total or now - self._last_line >= self._line_seconds):
            self._last_line = now
            logger.info("%s %d/%d, %s left%s", self._name, done, self._total, left, f"; {shown}" if shown else "")

    def _seconds_left(self, done: int, now: float) -> float:
        # Only what was done by this process tells its speed.
        assert self._begun_at is not None
        return (now - self._started) / max(1, done - self._begun_at) * max(0, self._total - done)


def _live_bar() -> LiveProgress:
    return LiveProgress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]} left"),
        TextColumn("[dim]{task.fields[figures]}"),
        console=terminal(),
    )


def _figures(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {_short(value)}" for name, value in figures.items())


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
