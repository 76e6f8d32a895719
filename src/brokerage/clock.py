"""`Clock`: the one place below which nothing asks what time it is. Tests move theirs by hand."""

import threading
import time
from typing import Protocol

from src.errors import TransientError


class Clock(Protocol):
    """Local time, and waiting."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970 as this machine believes them to be."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            TransientError: waiting was called off; nothing more should be asked of anyone.
        """
        ...


class SystemClock:
    """The machine's clock.

    Args:
        stop: ends every wait, so that a shutdown is not held up by one.
        linger_s: for so long after `stop` was noticed waits go on as before.
    """

    def __init__(self, stop: threading.Event | None = None, linger_s: float = 0.0) -> None:
        self._stop, self._linger_s = stop or threading.Event(), linger_s
        self._ends_at: float | None = None

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            TransientError: `stop` is set.
        """
        until = time.monotonic() + seconds
        if not self._stop.wait(seconds):
            return
        if self._ends_at is None:
            self._ends_at = time.monotonic() + self._linger_s
        if max(until, time.monotonic()) >= self._ends_at:
            raise TransientError("the program is told to stop")
        time.sleep(max(until - time.monotonic(), 0.0))
