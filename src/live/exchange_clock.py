"""`ExchangeClock`: the time by which candles close, the exchange's, and how it goes on between two looks at it."""

import time
from collections.abc import Callable
from typing import Protocol

from src.brokerage.clock import Clock

CLOCK_TRIES, QUICK_MS = 3, 2_000
LOOK_LASTS_MS = 15_000  # of a look: so long it need not be repeated, unless our clock jumps
JUMP_MS = 100  # what the two clocks of this machine may differ by meanwhile: correction by NTP is slower


class TellsTime(Protocol):
    """Whom to ask for the exchange's time."""

    def now(self) -> int:
        """Return UTC milliseconds."""
        ...


def uptime_ms() -> int:
    """Return the milliseconds since the machine was started, sleep included; it never jumps."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000


class ExchangeClock:
    """Not to be shared between threads.

    Args:
        clock: of this machine, which may be wrong, and may be set.
        source: asked for the exchange's time.
        uptime_ms: of this machine.

    Attributes:
        offset_ms: how far the exchange's clock was ahead of ours at the last look.
    """

    def __init__(self, clock: Clock, source: TellsTime, uptime_ms: Callable[[], int]) -> None:
        self._clock, self._source, self._uptime_ms = clock, source, uptime_ms
        self._told: tuple[int, int, int] | None = None  # what the exchange said, and both our clocks when it was heard
        self.offset_ms = 0

    def now(self) -> int:
        """Return the exchange's time, by the last look at it; setting our clock back does not turn it back."""
        return max(self._by_our_clock(), self.reached())

    def _by_our_clock(self) -> int:
        return self._clock.now_ms() + self.offset_ms

    def look(self) -> int:
        """Ask the exchange; return its answer, which is never ahead of its time.

        An answer that took long, as where the bot was stopped meanwhile, is asked for again. If all do, it is taken to
        be old by `now`, so that a bar looks rather too late than fresh.
        """
        for _ in range(CLOCK_TRIES):
            asked, theirs, answered = self._clock.now_ms(), self._source.now(), self._clock.now_ms()
            self._told = (theirs, answered, self._uptime_ms())
            if answered - asked <= QUICK_MS:
                self.offset_ms = theirs - (asked + answered) // 2
                return theirs
        self.offset_ms = theirs - asked
        return theirs

    def at_least(self) -> int:
        """Return a time that the exchange's has surely reached: by it, candles have closed.

        It asks the exchange only if the last look is old, or our clock was set since.
        """
        if self._told is None:
            return self.look()
        _, heard, uptime = self._told
        passed = self._uptime_ms() - uptime
        if passed > LOOK_LASTS_MS or abs(self._clock.now_ms() - heard - passed) > JUMP_MS:
            return self.look()
        return self.reached()

    def reached(self) -> int:
        """Return the same without asking, by what was said at the last look, however old."""
        if self._told is None:
            return self._by_our_clock()
        theirs, _, uptime = self._told
        return theirs + self._uptime_ms() - uptime
