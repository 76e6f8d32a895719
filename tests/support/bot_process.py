"""`StageApart`: a `Stage` whose bot lives in a process of its own, as on a server; only files survive a restart.

What the exchange and the test remember is then not counted as the memory of the bot.
"""

import logging
import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from src.brokerage import ccxt_account
from src.brokerage.redaction import redact
from src.config.live import LiveConfig
from src.live.bot import Worker
from src.live.watching.notify import Notifier
from tests.support.fakes.account_server import AccountServer
from tests.support.fakes.clocks import ServerClock
from tests.support.fakes.exchange_server import Row
from tests.support.live_scene import Stage, build_bot
from tests.support.live_setup import LIMITS, START

TIMEOUT_MS = 1_500  # of the bot's requests; less than its exchange hangs
PROCESSES = multiprocessing.get_context("spawn")


class SharedTime:
    """The exchange's time, which both processes read and the bot moves by waiting."""

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def now_ms(self) -> int:
        return int(self.value.value)

    @now_ms.setter
    def now_ms(self, now_ms: int) -> None:
        self.value.value = now_ms


class SharedTimeServer(SharedTime, AccountServer):
    """An exchange whose time is shared."""

    def __init__(self, bars: Sequence[Row], now_ms: int) -> None:
        SharedTime.__init__(self, PROCESSES.Value("q", now_ms))
        AccountServer.__init__(self, bars, now_ms)


class WrittenMessages(Notifier):
    """Keeps what people were told in a file, where the test looks for secrets."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def error(self, text: str) -> None:
        super().error(text)
        with self._path.open("a") as file:
            file.write(redact(text) + "\n")


class DistantWorker:
    """A `Worker` in another process; its exceptions are this process's."""

    def __init__(self, folder: Path, time: SharedTime, clock: ServerClock, agent: Any, config: LiveConfig) -> None:
        self._clock = clock
        self._pipe, other = PROCESSES.Pipe()
        self._process = PROCESSES.Process(
            target=_live, args=(other, folder, time.value, agent, config), daemon=True, name="bot"
        )
        self._process.start()
        other.close()

    def once(self) -> float:
        self._pipe.send(self._clock.skew_ms)
        return float(self._pipe.recv())

    def memory_bytes(self) -> int:
        """Return what the process of the bot holds in memory."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


class StageApart(Stage):
    """See the module; `restart_here` brings the bot into this process, after which `check` works."""

    server: SharedTimeServer

    def make_server(self, rows: Sequence[Row]) -> SharedTimeServer:
        return SharedTimeServer(rows, START)

    def restart(self) -> None:
        self._end()
        self.worker = DistantWorker(self.folder, self.server, self.clock, self.agent, self.config)
        self.worker.once()

    def restart_here(self) -> None:
        self._end()
        self.trader = self.build()
        self.worker = Worker(self.trader, self.services)
        self.worker.once()

    def memory_bytes(self) -> int:
        """Return what the process of the bot holds in memory."""
        assert isinstance(self.worker, DistantWorker)
        return self.worker.memory_bytes()

    def _end(self) -> None:
        if isinstance(getattr(self, "worker", None), DistantWorker):
            self.worker.kill()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        super().__exit__(kind, error, trace)


def _live(pipe: Connection, folder: Path, time: Any, agent: Any, config: LiveConfig) -> None:
    """Look for candles each time the pipe says by how much the clock is wrong."""
    logging.disable(logging.CRITICAL)
    ccxt_account.TIMEOUT_MS = TIMEOUT_MS
    clock = ServerClock(SharedTime(time))
    trader, _, services = build_bot(folder, clock, agent, config, LIMITS, WrittenMessages(folder / "messages.txt"))
    worker = Worker(trader, services)
    while True:
        clock.skew_ms = pipe.recv()
        pipe.send(worker.once())
