"""How long the rest of a run takes: from what was planned for its parts, and how the parts so far kept to that."""

from collections.abc import Sequence
from dataclasses import dataclass

_TRUST_IN_PLAN = 0.005  # share of the planned work after which what was measured counts as much as the plan


@dataclass
class Part:
    """A part of a run that takes a while.

    Attributes:
        planned: seconds it should take from begin to end; 0 where nobody knows.
        done: how much of it is done, from 0 to 1.
        done_before: how much of that was done before this process.
        spent: seconds this process has taken for the rest of that.
        waited: seconds since then.
        unit: how much of it is done at a time; 0 where it is not counted.
    """

    planned: float
    done: float = 0.0
    done_before: float = 0.0
    spent: float = 0.0
    waited: float = 0.0
    unit: float = 0.0

    @property
    def fresh(self) -> float:
        """How much of it this process has done."""
        return self.done - self.done_before

    def reach(self, done: float) -> None:
        """Count so much of it as done by now."""
        self.done, self.spent, self.waited = done, self.spent + self.waited, 0.0

    def end(self) -> None:
        """Count it as done; what was left out of it tells nothing of the speed."""
        self.done_before, self.done = 1.0 - self.fresh, 1.0


def seconds_left(parts: Sequence[Part]) -> float:
    """Return the seconds until all parts are done.

    A part goes on at its own speed once that is known. One that has not begun is as much slower than planned as the
    parts before it were.
    """
    pace = _pace(parts)
    return sum(_left(part, pace) for part in parts)


def _pace(parts: Sequence[Part]) -> float:
    # Seconds that a planned second takes.
    trust = _TRUST_IN_PLAN * sum(part.planned for part in parts)
    measured = [part for part in parts if part.planned > 0 and part.fresh > 0]
    spent, expected = sum(part.spent for part in measured), sum(part.planned * part.fresh for part in measured)
    return (spent + trust) / (expected + trust) if expected + trust > 0 else 1.0


def _left(part: Part, pace: float) -> float:
    if part.fresh > 0:
        whole = part.spent / part.fresh
        return max(0.0, whole * (1.0 - part.done) - min(part.waited, whole * part.unit))
    return max(0.0, part.planned * pace * (1.0 - part.done) - part.waited)
