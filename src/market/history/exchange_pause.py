"""`ExchangePause`: until when an exchange wants no requests, for everyone of a process who asks it.

Bans are of an address, not of a request: whoever asks on after another was told to wait makes the ban longer.
"""

import re
from collections.abc import Callable, Mapping

LONGEST_PAUSE_S = 3 * 86_400.0  # no ban lasts longer
_BANNED_UNTIL = re.compile(r"\bbanned until (\d{13})\b")  # milliseconds, by the exchange's clock
_CLOCKS_DIFFER_MS = 2_000


class ExchangePause:
    """The pause of one exchange.

    Args:
        now_ms: milliseconds of a clock.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms, self._asked_at, self._length_ms = now_ms, 0, 0

    @property
    def left_s(self) -> float:
        """Seconds until the exchange may be asked again."""
        now = self._now_ms()
        self._asked_at = min(self._asked_at, now)  # a clock that is put back makes no pause longer
        return max(self._asked_at + self._length_ms - now, 0) / 1000

    def heed(self, answer: str, headers: Mapping[str, str] | None) -> float:
        """Take up what an answer asks for; return how many seconds that is, 0 for nothing.

        Args:
            answer: its text, which may say until when an address is banned.
            headers: with `Retry-After`, if it says that.
        """
        asked, banned = (headers or {}).get("Retry-After", ""), _BANNED_UNTIL.search(answer)
        until_s = (int(banned[1]) + _CLOCKS_DIFFER_MS - self._now_ms()) / 1000 if banned else 0.0
        return self.begin(max(float(asked) if asked.isdigit() else 0.0, until_s))

    def begin(self, seconds: float) -> float:
        """Ask nothing for so long, or as long as was asked for before; return the seconds, at most three days."""
        seconds = min(max(seconds, 0.0), LONGEST_PAUSE_S)
        if seconds > self.left_s:
            self._asked_at, self._length_ms = self._now_ms(), int(seconds * 1000)
        return seconds
