"""`Tracker`: what takes the metrics of a run; and several of them as one.

A tracker touches nothing before it is first told something. A resumed run calls `resume` with the last moment it still
has the state of: what had been logged later is forgotten, so that every curve continues without a second version of the
same steps. Metric names are paths (`losses/policy_loss`), after cleanrl.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scalar = bool | int | float | str


class Moment(NamedTuple):
    """How far training has come.

    Attributes:
        step: iterations or generations done.
        env_steps: steps played by all accounts together; curves are drawn over them. A learner that plays nothing
            counts its own steps.
    """

    step: int
    env_steps: int


START = Moment(0, 0)


@dataclass(frozen=True)
class Outcome:
    """What training ended in.

    Attributes:
        hyperparameters: by their dotted names.
        results: figures by which runs are compared, by the names of their curves where there is one.
        model: the file that was made, where there is one.
        verdict: of the promotion gate, empty where none judged.
    """

    hyperparameters: Mapping[str, Scalar]
    results: Mapping[str, float]
    model: Path | None = None
    verdict: str = ""
    about: Mapping[str, Scalar] = field(default_factory=dict)


class Tracker(Protocol):
    """Takes the metrics of a run, one mapping per step."""

    def resume(self, moment: Moment) -> None:
        """Continue after `moment`, forgetting what came later; `START` starts anew. Call it before the first `log`."""
        ...

    def log(self, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Record the metrics of one step; steps increase."""
        ...

    def show(self, moment: Moment, name: str, picture: "Figure") -> None:
        """Record a picture, in place of the earlier one of that name or beside it."""
        ...

    def finish(self, moment: Moment, outcome: Outcome) -> None:
        """Record what training ended in."""
        ...

    def part(self, name: str) -> "Tracker":
        """Return the tracker of a part of the run, such as a member of a population, with curves of its own."""
        ...

    def close(self) -> None:
        """Write out what is pending; nothing may be logged afterwards."""
        ...


class CompositeTracker:
    """Passes everything on to several trackers."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = tuple(trackers)

    def resume(self, moment: Moment) -> None:
        """Resume each."""
        for tracker in self._trackers:
            tracker.resume(moment)

    def log(self, moment: Moment, metrics: Mapping[str, float]) -> None:
        """Log to each."""
        for tracker in self._trackers:
            tracker.log(moment, metrics)

    def show(self, moment: Moment, name: str, picture: "Figure") -> None:
        """Show it to each."""
        for tracker in self._trackers:
            tracker.show(moment, name, picture)

    def finish(self, moment: Moment, outcome: Outcome) -> None:
        """Tell each."""
        for tracker in self._trackers:
            tracker.finish(moment, outcome)

    def part(self, name: str) -> "CompositeTracker":
        """Return the parts of all."""
        return CompositeTracker([tracker.part(name) for tracker in self._trackers])

    def close(self) -> None:
        """Close each, also when closing another one fails."""
        with ExitStack() as stack:
            for tracker in self._trackers:
                stack.callback(tracker.close)
