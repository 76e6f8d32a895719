"""What an event was and what came of it: the values of the memory."""

from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray, TimeArray


class EventKind(Enum):
    """Why an event is worth remembering; `event_detection.py` holds the criteria."""

    flash_crash = "flash_crash"
    flash_rally = "flash_rally"
    large_win = "large_win"
    large_loss = "large_loss"
    regime_shift = "regime_shift"
    rare_action = "rare_action"


KINDS = tuple(EventKind)
NO_EVENT = -1  # the code of a place that holds no event


class EventOutcome(NamedTuple):
    """One event.

    Attributes:
        kind: why it is remembered.
        value: what came of it, a log-return or a return as its criterion says.
        started_at: close of the bar at which the state was met, UTC milliseconds.
        ended_at: close of the bar at which `value` was known, UTC milliseconds; never before `started_at`.
    """

    kind: EventKind
    value: float
    started_at: int
    ended_at: int


class EventOutcomes(NamedTuple):
    """Events as columns of one shape (...)."""

    kind: NDArray[np.int64]  # index into `KINDS`, `NO_EVENT` where there is none
    value: FloatArray
    started_at: TimeArray
    ended_at: TimeArray

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "EventOutcomes":
        """Return the events of some rows of columns (M,)."""
        return EventOutcomes(self.kind[rows], self.value[rows], self.started_at[rows], self.ended_at[rows])


def empty_outcomes() -> EventOutcomes:
    """Return no events: columns (0,)."""
    whole = np.zeros(0, dtype=np.int64)
    return EventOutcomes(whole, np.zeros(0), whole, whole)


def concatenate_outcomes(parts: list[EventOutcomes]) -> EventOutcomes:
    """Return the events (M,) of all parts, one after the other."""
    return EventOutcomes(*(np.concatenate(columns) for columns in zip(empty_outcomes(), *parts, strict=True)))
