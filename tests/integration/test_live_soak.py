"""A soak: thousands of accelerated candles with random faults and restarts, and now and then one that people must see.

Memory stays, the invariants hold, and whatever must be told is told, each time.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from src.journal.journal import Journal
from src.live.live_guard import RiskState
from src.live.trader import TAPE_BARS
from tests.support.bot_process import DistantWorker, StageApart
from tests.support.fakes import account_server
from tests.support.fakes.exchange_server import Reply, body, cut_connection, dripping, packed, status
from tests.support.live_setup import CONFIG, SYMBOL, Chooser, random_rows

NOWHERE = "http://127.0.0.1:1/"
UNKNOWN = ("lost", "cut after accept", "late", "body:{}", "status:503", f"redirected:307:{NOWHERE}")
FATES = ("ok", "ok", "ok", "ok", "ok", *UNKNOWN, "-2010", "-1021", "status:429:5")
PARTS = (1.0, 1.0, 0.5, 0.0)
ENDPOINTS = ("order", "myTrades", "account", "openOrders", "klines")
READING = (status(503), body(b"{}"), body(b"<html>"), cut_connection, status(302, Location=NOWHERE))
SLOW = (dripping, packed(40))
HOUR_OFF = 3_600_000
CANDLES, SETTLED = 10_000, 1_000
EVERY, WITHIN = 40, 40  # candles from one thing that must be told to the next, and until it is


def misfortune(stage: StageApart, rng: np.random.Generator) -> None:
    """Draw what goes wrong at the next candle."""
    server = stage.server
    server.fates, server.fill_plan = [str(rng.choice(FATES))], [float(rng.choice(PARTS))]
    server.keeps_rest = bool(rng.random() < 0.2)
    if rng.random() < 0.1:
        fault = READING[rng.integers(len(READING))]
        server.faults[str(rng.choice(ENDPOINTS))] = [fault] * int(rng.integers(1, 5))
    if rng.random() < 0.003:
        server.faults[str(rng.choice(ENDPOINTS))] = [SLOW[rng.integers(len(SLOW))]]
    if rng.random() < 0.01:
        stage.clock.skew_ms = int(rng.integers(-20_000, 20_000))
    if rng.random() < 0.002:
        stage.clock.skew_ms = int(rng.choice([-HOUR_OFF, HOUR_OFF]))
    if rng.random() < 0.05:
        server.deliver_late()
    if rng.random() < 0.02 and isinstance(stage.worker, DistantWorker):
        stage.worker.stops_after_s = float(rng.random() * 0.03)


class Kind(NamedTuple):
    """Something that people must see: how it begins, what they are told, and what when it is over."""

    begin: Callable[[], Callable[[], None]]  # returns how it is put right
    told: str
    told_of_the_end: str = ""


class Visible:
    """What people must be told of, one kind after another."""

    def __init__(self, stage: StageApart, restarts: bool) -> None:
        self.stage, self.strangers, self.seen = stage, Decimal(0), Counter[str]()
        self._kinds = cycle(
            [
                Kind(self._somebody_buys, "did not send it"),
                Kind(self._coins_come, "no order of this bot explains"),
                Kind(self._banned, "looks in a row have failed", "looks succeed again"),
                Kind(self._disk_full, "is HALTED"),
                Kind(self._refused, "times in a row: refused", "orders come about again"),
                Kind(self._journal_away, "deleted or replaced"),
                Kind(self._market_breaks, "does not trade"),
                Kind(self._delisted, "Invalid symbol", "looks succeed again"),
                Kind(self._disk_read_only, "is HALTED"),
                Kind(self._key_revoked, "-2015", "looks succeed again"),
                *([Kind(self._restarted_while_reducing, "starts REDUCING")] if restarts else []),
            ]
        )

    def happen(self) -> None:
        """Let the next one happen, wait until it is told, and put things right, as a person would.

        Raises:
            AssertionError: it is not told.
        """
        self._be_well()
        kind = next(self._kinds)
        known, puts_right = self._times(kind.told), kind.begin()
        self._wait_for(kind.told, known)
        known = self._times(kind.told_of_the_end)
        puts_right()
        if kind.told_of_the_end:
            self._wait_for(kind.told_of_the_end, known)
        self.stage.play(2)
        self._resume()
        self.seen[kind.begin.__name__.strip("_")] += 1

    def _be_well(self) -> None:
        # Until an order trades: what goes on already is not told again.
        self.stage.heal()
        traded = self._traded()
        for _ in range(WITHIN):
            if self._traded() > traded:
                return
            self.stage.play(1)
        raise AssertionError(f"nothing was traded within {WITHIN} candles: {self._told()[-2_000:]}")

    def _traded(self) -> int:
        return sum(order.status == "FILLED" for order in self.stage.server.ours())

    def _wait_for(self, words: str, known: int) -> None:
        for _ in range(WITHIN):
            if self._times(words) > known:
                return
            self.stage.play(1, looks=4)
        raise AssertionError(f"'{words}' was not told within {WITHIN} candles: {self._told()[-2_000:]}")

    def _state(self) -> RiskState:
        journal = self._journal()
        try:
            state, _ = journal.risk_state(SYMBOL) or ("ACTIVE", "")
            return RiskState[state]
        finally:
            journal.close()

    def _journal(self) -> Journal:
        return Journal(f"sqlite:///{self.stage.folder / 'journal.db'}", is_shared=True)

    def _resume(self) -> None:
        for attempt in range(WITHIN):
            if self._state() is RiskState.ACTIVE:
                return
            journal, now_ms = self._journal(), self.stage.clock.now_ms()
            journal.commands.append(f"{now_ms} {attempt}", SYMBOL, "resume", "a person", now_ms)
            journal.close()
            self.stage.worker.once()  # at once: a command that waits for long is not carried out any more
            self.stage.play(1)
        raise AssertionError(f"the bot cannot be let go on: {self._told()[-2_000:]}")

    def _times(self, words: str) -> int:
        return self._told().count(words)

    def _told(self) -> str:
        path = self.stage.folder / "messages.txt"
        return path.read_text() if path.exists() else ""

    def _state(self) -> RiskState:
        journal = Journal(f"sqlite:///{self.stage.folder / 'journal.db'}", is_shared=True)
        try:
            state, _ = journal.risk_state(SYMBOL) or ("ACTIVE", "")
            return RiskState[state]
        finally:
            journal.close()

    def _resume(self) -> None:
        for attempt in range(WITHIN):
            if self._state() is RiskState.ACTIVE:
                return
            journal = Journal(f"sqlite:///{self.stage.folder / 'journal.db'}", is_shared=True)
            now_ms = self.stage.clock.now_ms()
            journal.commands.append(f"{now_ms} {attempt}", SYMBOL, "resume", "a person", now_ms)
            journal.close()
            self.stage.worker.once()  # at once: a command that waits for long is not carried out any more
            self.stage.play(1)
        raise AssertionError(f"the bot cannot be let go on: {self._told()[-2_000:]}")

    # What happens; each returns how it is put right.

    def _somebody_buys(self) -> Callable[[], None]:
        self.stage.server.trade_by_hand("BUY", "0.01")
        self.strangers += Decimal("0.01")
        return lambda: None

    def _restarted_while_reducing(self) -> Callable[[], None]:
        puts_right, known = self._somebody_buys(), self._times("is REDUCING")
        self._wait_for("is REDUCING", known)
        self.stage.restart()
        return puts_right

    def _coins_come(self) -> Callable[[], None]:
        self.stage.server.account.balances["BTC"] += Decimal("0.01")
        self.strangers += Decimal("0.01")
        return lambda: None

    def _banned(self) -> Callable[[], None]:
        until = self.stage.server.now_ms + 3 * HOUR_OFF

        def ban(reply: Reply) -> None:
            reply.status, reply.payload = 418, {"code": -1003, "msg": f"IP banned until {until}."}

        self.stage.server.faults["account"] = [ban]
        return lambda: None

    def _refused(self) -> Callable[[], None]:
        place = self.stage.server._place
        self.stage.server._place = lambda query: account_server.error(-2010)  # type: ignore[method-assign]
        return lambda: setattr(self.stage.server, "_place", place)

    def _market_breaks(self) -> Callable[[], None]:
        self.stage.server.market_status = "BREAK"
        return lambda: setattr(self.stage.server, "market_status", "TRADING")

    def _delisted(self) -> Callable[[], None]:
        def delisted(reply: Reply) -> None:
            reply.status, reply.payload = 400, {"code": -1121, "msg": "Invalid symbol."}

        self.stage.server.faults["klines"] = [delisted] * 1_000
        return self.stage.server.faults.clear

    def _key_revoked(self) -> Callable[[], None]:
        self.stage.server.key_is_revoked = True
        return lambda: setattr(self.stage.server, "key_is_revoked", False)

    def _disk_full(self) -> Callable[[], None]:
        return self._disk("max_page_count = 1", "max_page_count = 4294967294")

    def _disk_read_only(self) -> Callable[[], None]:
        return self._disk("query_only = ON", "query_only = OFF")

    def _disk(self, spoils: str, heals: str) -> Callable[[], None]:
        worker = self.stage.worker
        assert isinstance(worker, DistantWorker)
        worker.pragma = spoils
        return lambda: setattr(worker, "pragma", heals)

    def _journal_away(self) -> Callable[[], None]:
        path = self.stage.folder / "journal.db"
        away = path.with_name("journal.away")
        path.rename(away)
        return lambda: None if path.exists() else away.rename(path)  # type: ignore[func-returns-value]


def forget(stage: StageApart) -> None:
    """What the exchange was asked is of no use here, and grows."""
    stage.server.requests.clear()
    stage.server.posts.clear()


def test_a_bot_in_a_process_of_its_own_is_killed_and_goes_on(tmp_path: Path) -> None:
    rows = random_rows(TAPE_BARS + 20, sigma=1e-4)
    with StageApart(tmp_path, agent=Chooser(), rows=rows) as stage:
        stage.play(4)
        stage.restart()
        stage.play(4)
        stage.restart_here()
        stage.check()
        assert len(stage.steps()) == 1 + 4 + 4  # the first had closed when the bot came
        assert len(stage.server.ours()) >= 2
        assert stage.state is RiskState.ACTIVE, stage.trader.guard.reason


@pytest.mark.slow
@pytest.mark.parametrize("restart_probability", [0.0, 0.002], ids=["one life", "many lives"])
def test_ten_thousand_candles_with_faults(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_testsuite_property: Callable[[str, object], None],
    restart_probability: float,
) -> None:
    # The bot looks a few times an hour here, so looks in vain are an hour of silence and not yet a reason to halt.
    config = replace(CONFIG, max_silence_s=1e9)
    monkeypatch.setattr(account_server, "FEE_FRAC", Decimal("0.00001"))  # the usual one would eat the account up
    candles = int(os.environ.get("SOAK_CANDLES", CANDLES))
    settled = min(SETTLED, candles // 2)
    rng, memory = np.random.default_rng(0), []
    rows = random_rows(TAPE_BARS + candles + WITHIN + 5, sigma=1e-4)
    with StageApart(tmp_path, agent=Chooser(), rows=rows, config=config) as stage:
        visible, begun = Visible(stage, restart_probability > 0), stage.candle
        while (done := stage.candle - begun) < candles:
            if done // EVERY > visible.seen.total():
                visible.happen()
            misfortune(stage, rng)
            stage.play(1)
            if rng.random() < restart_probability:
                stage.restart()
            if len(stage.server.requests) > 5_000:
                forget(stage)
            if done // settled > len(memory):
                memory.append(stage.memory_bytes())
        stage.heal()
        stage.play(1)
        memory.append(stage.memory_bytes())
        stage.restart_here()
        stage.check(strangers=str(visible.strangers))
        record_testsuite_property(f"memory_MB_{restart_probability}", [round(each / 1e6, 1) for each in memory])
        record_testsuite_property(f"orders_{restart_probability}", len(stage.server.ours()))
        record_testsuite_property(f"told_{restart_probability}", dict(visible.seen))
        assert max(memory[1:]) < 1.05 * memory[0], f"memory in bytes, every {settled} candles: {memory}"
        assert len(stage.server.ours()) > candles // 4
        assert stage.state is RiskState.ACTIVE, stage.trader.guard.reason
