"""How long the rest of a run takes: from what was planned for its parts, and how the parts so far kept to that."""

from collections.abc import Sequence
from dataclasses import dataclass, field

_TRUST_IN_PLAN = 0.005  # share of the planned work after which what was measured counts as much as the plan


@dataclass
class Part:
    """A part of a run that takes a while.

    Attributes:
        planned: seconds it should take from begin to end; 0 where nobody knows.
        done: how much of it is done, from 0 to 1.
        unit: how much is done at a time; 0 where it is not counted.
        begun_at: how much was done before this process.
        spent: seconds from the begin in this process to the last count.
        waited: seconds since then.
        first: how much was done at the first count, and in how many seconds. Its speed is measured from there on: what
            is built on first use tells nothing of the rest.
        last: the same of the last count.
    """

    planned: float
    done: float = 0.0
    unit: float = 0.0
    begun_at: float = 0.0
    spent: float = 0.0
    waited: float = 0.0
    first: tuple[float, float] | None = field(default=None, init=False)
    last: tuple[float, float] = field(default=(0.0, 0.0), init=False)

    def reach(self, done: float) -> None:
        """Count so much of it as done by now."""
        self.done, self.spent, self.waited = done, self.spent + self.waited, 0.0
        self.last = done, self.spent
        self.first = self.first or self.last

    def end(self) -> None:
        """Count it as done; what was left out tells nothing of its speed."""
        self.done = 1.0

    @property
    def timed(self) -> tuple[float, float]:
        """How much of it was timed, and the seconds that took."""
        if self.first is None:
            return 0.0, 0.0
        return self.last[0] - self.first[0], self.last[1] - self.first[1]


def seconds_left(parts: Sequence[Part]) -> float:
    """Return the seconds until all parts are done.

    A part that is counted goes on at its own speed, once two counts have told it. The others are as much slower than
    planned as those that were counted.
    """
    pace = _pace(parts)
    return sum(_left(part, pace) for part in parts if part.done < 1.0)


def _pace(parts: Sequence[Part]) -> float:
    # Seconds that a planned second takes.
    spent = expected = _TRUST_IN_PLAN * sum(part.planned for part in parts)
    for part in parts:
        done, seconds = part.timed
        if part.planned > 0 and done > 0:
            spent, expected = spent + seconds, expected + part.planned * done
    return spent / expected if expected > 0 else 1.0


def _left(part: Part, pace: float) -> float:
    done, seconds = part.timed
    if done > 0:
        whole = seconds / done
    elif part.planned > 0:
        whole = part.planned * pace
    else:
        whole = part.spent / (part.done - part.begun_at) if part.done > part.begun_at else 0.0
    # A count that is late says nothing of those after it.
    off = min(part.waited, whole * part.unit) if part.unit > 0 else part.waited
    return max(0.0, whole * (1.0 - part.done) - off)
