"""`StageApart`: a `Stage` whose bot lives in a process of its own, as on a server; only files survive a restart.

What the exchange and the test remember is then not counted as the memory of the bot.
"""

import logging
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import event

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
STOPPED_MS = 104_000
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
    """Keeps what people were told in a file, where the test looks for it, and for secrets."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def error(self, text: str) -> None:
        super().error(text)
        self._write(text)

    def info(self, text: str) -> None:
        super().info(text)
        self._write(text)

    def _write(self, text: str) -> None:
        with self._path.open("a") as file:
            file.write(redact(text) + "\n")


class DistantWorker:
    """A `Worker` in another process, commanded before each look; its exceptions are this process's.

    Attributes:
        pragma: what its journal is told by each connection, as a disk that is full would.
        stops_after_s: it is stopped with SIGSTOP so long after its next look began, for 104 s of the exchange's time.
    """

    def __init__(self, folder: Path, time: SharedTime, clock: ServerClock, agent: Any, config: LiveConfig) -> None:
        self._clock, self._time = clock, time
        self.pragma, self.stops_after_s = "", -1.0
        self._pipe, other = PROCESSES.Pipe()
        self._process = PROCESSES.Process(
            target=_live, args=(other, folder, time.value, agent, config), daemon=True, name="bot"
        )
        self._process.start()
        other.close()

    def once(self) -> float:
        self._pipe.send((self._clock.skew_ms, self.pragma))
        if self.stops_after_s >= 0:
            self._stop()
        return float(self._pipe.recv())

    def _stop(self) -> None:
        assert self._process.pid is not None
        self._pipe.poll(self.stops_after_s)
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)
        self._time.now_ms += STOPPED_MS
        os.kill(self._process.pid, signal.SIGCONT)
        self.stops_after_s = -1.0

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
    pragma = ""

    @event.listens_for(services.journal.database.engine, "checkout")
    def spoil(raw: sqlite3.Connection, *_: object) -> None:
        if pragma:
            raw.execute(f"PRAGMA {pragma}")

    while True:
        clock.skew_ms, pragma = pipe.recv()
        pipe.send(worker.once())
