"""`pause`, `resume` and `close` while the bot runs: carried out once, by its worker, whatever happens on the wire."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from src.errors import TradingHalted
from src.execution.tape import DAY_MS
from src.journal.commands import Command
from src.journal.journal import Journal
from src.journal.schema import JournaledStep
from src.live.bot import Worker
from src.live.day_replay import replay_day
from src.live.live_guard import RiskState
from src.live.operator.command_desk import STALE_MS
from src.live.venues.venue import OrderKind
from src.live.watching.monitor import Monitor
from tests.support.fakes.exchange_server import status
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import (
    CONFIG,
    HOUR_MS,
    LIMITS,
    SYMBOL,
    Chooser,
    Recording,
    model_of,
    paper_trader,
    random_rows,
)
from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = count()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


def ask(stage: Stage, verb: str, key: str = "") -> str:
    """Ask the bot for something; returns the key."""
    key = key or f"{verb} {next(NUMBERS)}"
    stage.services.journal.commands.append(key, SYMBOL, verb, "a test", stage.clock.now_ms())
    return key


def command(stage: Stage, key: str) -> Command:
    (found,) = stage.services.journal.commands.with_keys([key])
    return found


def answer(stage: Stage, verb: str) -> tuple[str, str]:
    """Ask for something, let the bot look once, and return what became of it."""
    key = ask(stage, verb)
    assert stage.worker.is_asked()
    stage.worker.once()
    found = command(stage, key)
    return found.state, found.result


def health(stage: Stage) -> tuple[list[str], dict[str, str]]:
    monitor = Monitor([stage.trader], stage.config, is_live=True)
    return monitor.complaints(), monitor.states()


def test_a_pause_lets_nothing_be_opened_until_resume_and_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with Stage(tmp_path, [0.5, 1.0, 1.0, 0.2, 1.0, 1.0]) as stage:
        stage.play(1)
        state, said = answer(stage, "pause")
        assert (state, said.split(";")[0]) == ("done", "BTC/USDT: PAUSED")
        assert f"`pause` from a test: {said}" in caplog.messages, "people are told who asked for what"
        assert health(stage) == ([], {SYMBOL: "PAUSED"})
        stage.play(2)
        assert len(stage.server.posts) == 1, "it wanted more, and had to wait"
        stage.restart()
        assert stage.state is RiskState.PAUSED, "a pause outlives its bot"
        stage.play(1)
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"], "what is held may be sold"
        stage.play(1)
        assert answer(stage, "resume") == ("done", "BTC/USDT: ACTIVE; was PAUSED (paused by hand)")
        stage.play(1)
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL", "BUY"]
        stage.check()
        assert [text for _, kind, text in stage.services.journal.events(SYMBOL, 0, 10**14) if kind == "command"] == [
            f"pause from a test: {said}",
            "resume from a test: BTC/USDT: ACTIVE; was PAUSED (paused by hand)",
        ]


@pytest.mark.parametrize("stricter", [RiskState.REDUCING, RiskState.HALTED])
def test_a_pause_loosens_no_state(tmp_path: Path, stricter: RiskState) -> None:
    with Stage(tmp_path, [0.5]) as stage:
        stage.trader.escalate(stricter, "something is wrong")
        state, said = answer(stage, "pause")
        assert (state, stage.state) == ("done", stricter)
        assert said.startswith(f"BTC/USDT: stays {stricter.name} (something is wrong)")


def test_a_bot_is_not_resumed_while_its_kill_switch_is_there(tmp_path: Path) -> None:
    switch = tmp_path / "KILL"
    with Stage(tmp_path / "bot", [0.5, 0.5], limits=replace(LIMITS, kill_switch_file=str(switch))) as stage:
        switch.touch()
        stage.worker.once()
        state, said = answer(stage, "resume")
        assert (state, said) == ("failed", f"BTC/USDT: stays HALTED; delete the kill switch file {switch} first")
        switch.unlink()
        assert answer(stage, "resume")[0] == "done"
        assert stage.state is RiskState.ACTIVE


@pytest.mark.parametrize("fate", ["ok", "cut after accept", "accepted:503", "body:{}", "lost", "-2010", "status:429:5"])
def test_95_close_sells_once_whatever_becomes_of_the_request(tmp_path: Path, fate: str) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.fates = [fate]
        key = ask(stage, "close")
        for _ in range(3):
            stage.worker.once()
            stage.server.now_ms += 30_000
        found = command(stage, key)
        assert (found.state, found.result.split(";")[0]) == ("done", "BTC/USDT: HALTED")
        stage.play(3)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]
        assert not stage.worker.is_asked()


@pytest.mark.parametrize("before", [RiskState.ACTIVE, RiskState.REDUCING, RiskState.HALTED])
def test_95_two_closes_at_once_sell_once_in_any_state(tmp_path: Path, before: RiskState) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        if before is not RiskState.ACTIVE:
            stage.trader.escalate(before, "a reason")
        keys = [ask(stage, "close", "one"), ask(stage, "close", "other"), ask(stage, "close", "one")]
        stage.worker.once()
        texts = [command(stage, key).result for key in keys]
        assert "filled" in texts[0]
        assert "nothing to close" in texts[1]
        stage.play(2)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "SELL"]


def test_95_a_close_while_running_leaves_no_stop_behind_and_resume_trades_again(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0], limits=replace(LIMITS, max_daily_loss_frac=0.2)) as stage:
        stage.play(2)
        assert len(stage.server.stops()) == 1
        state, said = answer(stage, "close")
        assert (state, "filled" in said) == ("done", True)
        stage.worker.once()
        assert stage.server.stops() == [], "the books hold the position until the next candle, the exchange does not"
        stage.play(1)
        assert (stage.server.stops(), stage.state) == ([], RiskState.HALTED)
        answer(stage, "resume")
        stage.play(1)
        ours = [order.side for order in stage.server.ours() if order.stop_price is None]
        assert ours == ["BUY", "SELL", "BUY"]
        assert len(stage.server.stops()) == 1
        stage.check(orders_by_hand=1)


def test_95_a_close_in_an_outage_sells_when_it_is_over(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.faults["account"] = [lambda reply: setattr(reply, "status", 503)] * 3
        key = ask(stage, "close")
        stage.worker.once()
        assert (command(stage, key).state, stage.state) == ("taken", RiskState.HALTED)
        assert "in vain" in command(stage, key).result
        assert not stage.worker.is_asked(), "it is tried again, though not at once"
        stage.server.now_ms += 6_000
        stage.worker.once()
        assert (command(stage, key).state, len(stage.server.posts)) == ("done", 2)
        stage.check()


def test_95_a_resume_overtakes_a_close_that_could_not_be_done_yet(tmp_path: Path) -> None:
    with Stage(tmp_path, [1.0]) as stage:
        stage.play(2)
        stage.server.faults["account"] = [status(503)] * 3
        closing = ask(stage, "close")
        stage.worker.once()
        assert answer(stage, "resume")[0] == "done", "it does not wait for the second try"
        assert command(stage, closing).result == "BTC/USDT: a later `resume` overtook it"
        stage.server.now_ms += 60_000
        stage.play(1)
        stage.check()
        assert (stage.state, [order.side for order in stage.server.ours()]) == (RiskState.ACTIVE, ["BUY"])


def test_96_a_journal_that_cannot_be_written_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stage(tmp_path, [0.5]) as stage:
        stage.play(1)
        key, commands = ask(stage, "pause"), stage.services.journal.commands
        with monkeypatch.context() as full:
            full.setattr(commands, "take", _disk_full)
            stage.worker.once()
            assert (stage.state, stage.worker.is_asked()) == (RiskState.HALTED, False)
        stage.server.now_ms += 31_000
        assert stage.worker.is_asked()
        stage.worker.once()
        assert command(stage, key).result.startswith("BTC/USDT: stays HALTED (the disk is full)")


def _disk_full(*_: object) -> bool:
    raise TradingHalted("the disk is full")


def test_96_what_was_asked_long_ago_is_not_done(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 0.5, 0.5]) as stage:
        stage.play(1)
        key = ask(stage, "close")
        stage.server.now_ms += STALE_MS + 1
        stage.restart()
        assert command(stage, key).state == "failed"
        assert command(stage, key).result == "not done within 10 minutes: no bot could do it"
        stage.play(1)
        assert (stage.state, len(stage.server.posts)) == (RiskState.ACTIVE, 1)


def test_96_what_was_taken_back_is_not_done(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 0.5]) as stage:
        stage.play(1)
        key, commands = ask(stage, "close"), stage.services.journal.commands
        (pending,) = commands.pending(SYMBOL)
        assert commands.withdraw(key, "nobody waits for it", stage.clock.now_ms())
        assert not commands.take(pending, stage.clock.now_ms())
        stage.worker.once()
        assert (stage.state, command(stage, key).result) == (RiskState.ACTIVE, "nobody waits for it")
        other = ask(stage, "pause")
        stage.worker.once()
        assert not commands.withdraw(other, "too late", stage.clock.now_ms())


def test_a_day_on_which_a_person_took_part_comes_out_the_same_again(tmp_path: Path) -> None:
    with Stage(tmp_path, agent=Chooser(), rows=random_rows(FIRST + 60, sigma=1e-4)) as stage:
        for verb in ("pause", "resume", "close", "resume"):
            stage.play(3)
            assert answer(stage, verb)[0] == "done"
        stage.play(3)
        assert replay_days(stage.services.journal, stage.steps(), OrderKind.REAL) == []


def test_a_day_on_paper_comes_out_the_same_again_though_it_was_closed(tmp_path: Path) -> None:
    rows = random_rows(FIRST + 20)
    source = Recording(rows)
    source.now_ms = int(rows[FIRST][0]) + HOUR_MS + 1000
    trader = paper_trader(tmp_path, source)
    worker = Worker(trader, trader._services)
    for place, row in enumerate(rows[FIRST:]):
        source.now_ms = int(row[0]) + HOUR_MS + 1000
        if place in (5, 12):
            verb = "close" if place == 5 else "resume"
            trader._services.journal.commands.append(verb, SYMBOL, verb, "a test", source.now_ms)
        worker.once()
    steps = trader._services.journal.steps(SYMBOL, 0, source.now_ms)
    targets = [step.record["target"] for step in steps]
    assert set(targets[5:12]) == {0.0}
    assert set(targets[:5]) != {0.0} != set(targets[12:])
    assert replay_days(trader._services.journal, steps, OrderKind.PAPER) == []


def replay_days(journal: Journal, steps: Sequence[JournaledStep], kind: OrderKind) -> list[str]:
    days = sorted({(step.close_time - 1) // DAY_MS * DAY_MS for step in steps})
    return [line for day in days for line in replay_day(journal, model_of(), CONFIG, LIMITS, day, kind)[1]]


def private_requests(stage: Stage) -> int:
    return sum(stage.server.asked(name) for name in ("order", "account", "myTrades", "openOrders"))


def test_resume_in_a_ban_asks_nothing_before_it_is_over(tmp_path: Path) -> None:
    with Stage(tmp_path, [0.5, 1.0, 1.0]) as stage:
        stage.play(1)
        stage.trader.escalate(RiskState.HALTED, "a reason")
        stage.server.faults["account"] = [status(418, Retry_After="120")]
        stage.at_candle(stage.candle + 1)
        stage.worker.once()
        before = private_requests(stage)
        assert answer(stage, "resume")[0] == "done"
        assert stage.state is RiskState.ACTIVE
        assert private_requests(stage) == before
        stage.server.now_ms += 121_000
        stage.worker.once()
        stage.play(1)
        stage.check()
        assert [order.side for order in stage.server.ours()] == ["BUY", "BUY"]


DRIVER = """
import json, os, signal, sys
from pathlib import Path
from src.brokerage import ccxt_account
from src.brokerage.ccxt_account import CcxtAccount
from src.journal.commands import Commands
from src.journal.journal import Journal
from tests.integration.test_live_commands import ask, command
from tests.support.live_scene import Stage

ccxt_account.TIMEOUT_MS = 1_500
POINTS = {
    "take": (Commands, "take"), "add_order": (Journal, "add_order"), "mark_sending": (Journal, "mark_sending"),
    "place": (CcxtAccount, "place"), "resolved": (Journal, "add_fills"), "finish": (Commands, "finish"),
    "resume": (Journal, "pin"),
}

def dying(owner, name, after):
    method = getattr(owner, name)
    def wrapped(self, *arguments, **named):
        if name == "add_fills" and len(arguments) == 1:
            return method(self, *arguments)
        if after:
            method(self, *arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, wrapped)

def killed(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return -os.WTERMSIG(os.waitpid(child, 0)[1])

def run(folder, point, after, verb):
    with Stage(folder, [1.0]) as stage:
        stage.play(2)
        if verb == "resume":
            ask(stage, "close")
            stage.worker.once()
        key = ask(stage, verb, "the command")
        def doomed():
            dying(*POINTS[point], after)
            stage.worker.once()
        stage.services.journal.close()
        died = killed(doomed)
        stage.server.now_ms += 1_000
        for _ in range(3):
            stage.restart()
            stage.server.now_ms += 20_000
        stage.check()
        found = command(stage, key)
        sides = [order.side for order in stage.server.ours()]
        return [died, found.state, stage.state.name, sides]

for number, (point, after, verb) in enumerate(json.loads(sys.argv[2])):
    place = Path(sys.argv[1]) / str(number)
    place.mkdir()
    try:
        print(json.dumps(run(place, point, after, verb)), flush=True)
    except BaseException as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
"""
KILLS = [
    *[(point, after, "close") for point in ("take", "add_order", "mark_sending", "place") for after in (False, True)],
    *[("resolved", True, "close"), ("finish", False, "close"), ("finish", True, "close")],
    *[("take", True, "resume"), ("resume", False, "resume"), ("finish", False, "resume"), ("finish", True, "resume")],
]


def test_95_killed_at_any_point_a_command_is_carried_out_once(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", DRIVER, str(tmp_path), json.dumps(KILLS)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(KILLS), done.stderr
    for (point, after, verb), outcome in zip(KILLS, outcomes, strict=True):
        wanted = [-9, "done", "ACTIVE" if verb == "resume" else "HALTED", ["BUY", "SELL"]]
        assert outcome == wanted, f"{verb}, killed {'after' if after else 'before'} {point}"
