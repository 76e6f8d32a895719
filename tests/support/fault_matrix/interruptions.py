"""What may happen to a bot between two of its steps, a step being a request or a transaction of its journal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from src.errors import TransientError
from tests.support.fakes.clocks import ServerClock
from tests.support.live_scene import Stage


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class StoppableClock(ServerClock):
    """Its waits can be called off, as SIGTERM does."""

    is_stopped = False

    def sleep(self, seconds: float) -> None:
        if self.is_stopped:
            raise TransientError("the program is told to stop")
        super().sleep(seconds)


@dataclass(frozen=True)
class Interruption:
    """One of them.

    Attributes:
        happens: at the step.
        restarts: how often the bot is started again right after, the next time interrupted at the same step.
    """

    happens: Callable[[Stage], None]
    restarts: int = 0


def killed(_stage: Stage) -> None:
    raise Killed


def told_to_stop(stage: Stage) -> None:
    assert isinstance(stage.clock, StoppableClock)
    stage.clock.is_stopped = True


def stopped(seconds: int) -> Callable[[Stage], None]:
    """SIGSTOP, SIGCONT so many seconds later: the world goes on, the bot's thread does not."""

    def happens(stage: Stage) -> None:
        stage.server.now_ms += seconds * 1000
        stage.server.deliver_late()

    return happens


def clock_jumps(milliseconds: int) -> Callable[[Stage], None]:
    def happens(stage: Stage) -> None:
        stage.clock.skew_ms += milliseconds

    return happens


INTERRUPTIONS = {
    "killed": Interruption(killed, restarts=1),
    "killed twice": Interruption(killed, restarts=2),
    "told to stop": Interruption(told_to_stop, restarts=1),
    "stopped for 20 s": Interruption(stopped(20)),
    "stopped for 104 s": Interruption(stopped(104)),
    "stopped for 3 h": Interruption(stopped(3 * 3_600)),
    "clock an hour ahead": Interruption(clock_jumps(3_600_000)),
    "clock an hour behind": Interruption(clock_jumps(-3_600_000)),
}


class Steps:
    """Counts the steps of a bot; at one of them something happens.

    Attributes:
        name: where it happened; empty while it has not.
    """

    def __init__(self, at: int, happens: Callable[[], None]) -> None:
        self.name, self._left, self._happens = "", at, happens

    def see(self, name: str) -> None:
        """A step is over, or about to begin."""
        self._left -= 1
        if self._left < 0 and not self.name:
            self.name = name
            self._happens()

    def watch(self, stage: Stage) -> None:
        """See the steps of the bot that is on a stage now."""
        for exchange in (stage.account._exchange, stage.trader._feed.source._exchange):  # type: ignore[attr-defined]
            exchange.fetch = self._watched(exchange.fetch)
        database = stage.services.journal.database
        writing = database.writing

        @contextmanager
        def watched() -> Iterator[Connection]:
            with writing() as connection:
                yield connection
                self.see("before a commit")
            self.see("after a commit")

        database.writing = watched  # type: ignore[method-assign]

    def _watched(self, fetch: Callable[..., Any]) -> Callable[..., Any]:
        def watched(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            request = f"{method} {urlsplit(url).path.rsplit('/', 1)[-1]}"
            self.see(f"before {request}")
            try:
                return fetch(url, method, headers, body)
            finally:
                self.see(f"after {request}")

        return watched
