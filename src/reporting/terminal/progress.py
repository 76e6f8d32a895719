"""`RunProgress`: what a run is doing and how long it will take. A live bar on a terminal, log lines elsewhere.

Whatever the run is doing, something is said every few seconds: where nothing was, a thread says what is under way.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as LiveProgress

from src.reporting.terminal.log_lines import terminal
from src.reporting.terminal.time_left import Part, seconds_left

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 5.0
_TICK_SECONDS = 0.5


@dataclass
class _Step:
    # What is under way: counted work if it has a total.
    what: str
    total: int | None = None
    done: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    part: Part = field(default_factory=lambda: Part(0.0))
    reached: float = 0.0  # when it was begun, or last went on


class RunProgress:
    """Context manager around a run, which tells it of each step it takes.

    Args:
        enabled: False shows nothing at all.
        clock: seconds that only ever grow.
    """

    def __init__(self, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bar = _LiveBar() if enabled and terminal().is_terminal else None
        self._has_lines = enabled and self._bar is None
        self._plan: dict[str, dict[str, Part]] = {}
        self._stage, self._step = "", _Step("")
        self._last_line = clock()
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_talking, name="progress", daemon=True)

    def __enter__(self) -> "RunProgress":
        if self._bar is not None:
            self._bar.start()
        elif self._has_lines:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.stop()
        elif self._has_lines:
            self._thread.join()

    @property
    def is_shown(self) -> bool:
        """Whether anybody sees it."""
        return self._has_lines or self._bar is not None

    def plan(self, stages: Mapping[str, Mapping[str, float]]) -> None:
        """Say which stages are to come, in order, and how many seconds each step of them should take."""
        with self._lock:
            self._plan = {
                stage: {what: Part(seconds) for what, seconds in steps.items()} for stage, steps in stages.items()
            }

    def stage(self, name: str) -> None:
        """Begin a stage; the one before it is done."""
        with self._lock:
            self._step.part.end()
            for part in self._plan.get(self._stage, {}).values():
                part.end()
            self._stage, self._step = name, _Step("")
            self._plan.setdefault(name, {})

    def step(self, what: str, total: int | None = None, done: int = 0) -> None:
        """Begin a step of the stage, or of the run before its first stage; the step before it is done.

        Args:
            what: is under way, such as `starting Ray`; planned steps go by the names they have in the plan.
            total: value of `done` at the end, of work that is counted.
            done: of that already.
        """
        with self._lock:
            self._step.part.end()
            part = self._planned(what)
            if total is not None:
                part.done, part.begun_at, part.unit = done / total, done / total, 1 / total
            self._step = _Step(what, total, done, part=part, reached=self._clock())
            self._show(at_once=True)

    def update(
        self, done: int, figures: Mapping[str, float] | None = None, under_way: int = 0, at_once: bool = False
    ) -> None:
        """Show that `done` of the total are finished, and the latest of each figure.

        Args:
            under_way: of the total, begun and not finished; each is taken for half done.
            at_once: for what takes its time; else some of the updates, and the first and the last, are lines.
        """
        with self._lock:
            step = self._step
            assert step.total is not None, "update is for steps that are counted"
            is_first = step.part.first is None
            if is_first and under_way:  # what goes on side by side ends in bursts, which tell no speed
                step.part.first = step.part.begun_at, 0.0
            step.part.waited = self._clock() - step.reached
            step.part.reach(min(1.0, (done + under_way / 2) / step.total))
            step.done, step.reached = done, self._clock()
            step.figures |= figures or {}
            self._show(at_once or is_first or done >= step.total)

    def tick(self) -> None:
        """Say what is under way, if nothing was said for long."""
        with self._lock:
            if self._step.what:
                self._show(at_once=False)

    def _keep_talking(self) -> None:
        while not self._ended.wait(_TICK_SECONDS):
            self.tick()

    def _planned(self, what: str) -> Part:
        # Of the stage; what was planned before it and is not there was not needed.
        steps = self._plan.get(self._stage, {})
        if what not in steps:
            return steps.setdefault(what, Part(0.0))
        for name, part in steps.items():
            if name == what:
                break
            part.end()
        return steps[what]

    def _show(self, at_once: bool) -> None:
        now = self._clock()
        self._step.part.waited = now - self._step.reached
        if self._bar is not None:
            self._bar.show(self._title(), self._step, self._left(), self._overall())
        elif self._has_lines and (at_once or now - self._last_line >= SILENCE_SECONDS - _TICK_SECONDS):
            self._last_line = now
            logger.info("%s", self._line())

    def _line(self) -> str:
        step = self._step
        count = "" if step.total is None else f" {step.done}/{step.total}"
        elapsed = f"{step.part.waited:.0f} s so far" if step.part.first is None and step.part.waited >= 1 else ""
        figures = figures_text(step.figures)
        parts = (f"{self._title()}{count}", elapsed, self._left(), self._overall())
        return ", ".join(part for part in parts if part) + (f"; {figures}" if figures else "")

    def _title(self) -> str:
        return f"{self._stage}: {self._step.what}" if self._stage else self._step.what

    def _left(self) -> str:
        # Of the step.
        part = self._step.part
        return f"{timedelta(seconds=round(seconds_left([part])))} left" if part.first is not None else ""

    def _overall(self) -> str:
        if len(self._plan) < 2:
            return ""
        left = f"about {rounded(seconds_left([part for steps in self._plan.values() for part in steps.values()]))} left"
        place = list(self._plan).index(self._stage) + 1 if self._stage else 0
        return f"stage {place} of {len(self._plan)}, {left} in all" if place else f"{left} in all"


_WIDE_FROM = 120  # columns of a terminal
_WIDE = (
    TextColumn("[bold]{task.description}"),
    BarColumn(bar_width=24),
    TextColumn("{task.fields[count]}"),
    TimeElapsedColumn(),
    TextColumn("{task.fields[left]}"),
    TextColumn("[dim]{task.fields[figures]}"),
)
_NARROW = (  # two lines, and no bar
    TextColumn(
        "[bold]{task.description}[/bold] {task.fields[count]}  [dim]{task.fields[figures]}[/dim]\n{task.fields[left]}"
    ),
)


class _LiveBar:
    # One line for each step; those that were counted to their end stay.
    def __init__(self) -> None:
        columns = _WIDE if terminal().width >= _WIDE_FROM else _NARROW
        self._rich = LiveProgress(*columns, console=terminal(), redirect_stdout=False)  # which may be a file
        self._step: _Step | None = None
        self._task = TaskID(0)
        self.start = self._rich.start

    def stop(self) -> None:
        self._remove_unfinished()
        self._rich.stop()

    def _remove_unfinished(self) -> None:
        if self._step is not None and self._step.done != self._step.total:
            self._rich.remove_task(self._task)

    def show(self, title: str, step: _Step, left: str, overall: str) -> None:
        if step is not self._step:
            self._remove_unfinished()
            self._step = step
            self._task = self._rich.add_task(title, total=step.total, count="", left="", figures="")
        count = "" if step.total is None else f"{step.done}/{step.total}"
        said = ", ".join(text for text in (left, overall) if text)
        self._rich.update(self._task, completed=step.done, count=count, left=said, figures=figures_text(step.figures))


def figures_text(figures: Mapping[str, float]) -> str:
    """Return figures by name on one line."""
    return "  ".join(f"{name} {_short(value)}" for name, value in figures.items())


def rounded(seconds: float) -> str:
    """Return a time as exactly as an estimate deserves."""
    if seconds < 90:
        return f"{10 * math.ceil(seconds / 10)} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.1f} min" if seconds < 600 else f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
