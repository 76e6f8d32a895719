"""`Pulse`: whether a worker moves. It shows so before each request and each wait, and says how long it will wait.

So one that waits on purpose, for the next candle or for the end of a ban, is alive, and one that is stuck in a request
is not. Times are of a clock that never jumps.
"""

import time
from collections.abc import Callable

from src.brokerage.clock import Clock

HUNG_WORKER_S = 120.0  # longer than any one request, and than what is computed between two


class Pulse:
    """The signs of life of one worker.

    Args:
        now_s: seconds of a clock that never jumps.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._next = now_s()

    def beat(self, wait_s: float = 0.0) -> None:
        """Show that the worker moves, and will be silent for so long because it waits."""
        self._next = self._now_s() + wait_s

    @property
    def is_missing(self) -> bool:
        """Whether the worker is stuck."""
        return self._now_s() - self._next > HUNG_WORKER_S


class PulseClock:
    """The `Clock` of what one worker alone uses: each wait is a beat, one of no length before a request included."""

    def __init__(self, clock: Clock, pulse: Pulse) -> None:
        self._clock, self._pulse = clock, pulse

    def now_ms(self) -> int:
        """Return UTC milliseconds."""
        return self._clock.now_ms()

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            TransientError: waiting was called off.
        """
        self._pulse.beat(seconds)
        self._clock.sleep(seconds)
        self._pulse.beat()
