"""`Clock`: the one place below which nothing asks what time it is. Tests move theirs by hand."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Local time, and waiting."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970 as this machine believes them to be."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait, or less where waiting was called off."""
        ...


class SystemClock:
    """The machine's clock. `stop` ends every wait, so that a shutdown is not held up by one."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait until the time is over or `stop` is set."""
        self._stop.wait(seconds)
