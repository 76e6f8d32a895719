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
    """The machine's clock. `stop` ends every wait, so that a shutdown is not held up by one."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait until the time is over.

        Raises:
            TransientError: `stop` is set.
        """
        if self._stop.wait(seconds):
            raise TransientError("the program is told to stop")
