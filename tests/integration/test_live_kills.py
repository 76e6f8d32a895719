"""Killed with SIGKILL at any step and with any fault on the wire, a bot accounts for every order when it starts again.

One fresh interpreter forks a process per run, so that each is a real process that really dies, without loading ccxt
again.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from src.brokerage import ccxt_account
from src.brokerage.ccxt_account import CcxtAccount
from src.journal.journal import Journal
from tests.support.live_scene import FIRST, Stage

ccxt_account.TIMEOUT_MS = 1_500

def dying(owner, name, after):
    method = getattr(owner, name)
    def wrapped(self, *arguments):
        if name == "add_fills" and len(arguments) == 1:
            return method(self, *arguments)  # fills that were found on the way resolve no order
        if after:
            try:
                method(self, *arguments)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, wrapped)

POINTS = {
    "before the decision is recorded": (Journal, "record_step", False),
    "after the decision is recorded": (Journal, "record_step", True),
    "before sending is recorded": (Journal, "mark_sending", False),
    "after sending is recorded": (Journal, "mark_sending", True),
    "after the request": (CcxtAccount, "place", True),
    "after the answer is kept": (Journal, "mark_seen", True),
    "before the outcome is kept": (Journal, "add_fills", False),
    "after the outcome is kept": (Journal, "add_fills", True),
}

def in_a_process(work):
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def run(folder, point, fate):
    # The exchange lives in this process and outlives the bots, which are forked from it. Their requests reach it.
    with Stage(folder, [1.0, 1.0, 0.0, 0.0]) as stage:
        stage.server.fates = [fate]
        def doomed():
            dying(*POINTS[point])
            stage.worker.once()
        stage.services.journal.close()
        stage.at_candle(FIRST)
        died = in_a_process(doomed)
        stage.server.deliver_late()
        stage.restart()
        stage.check()
        posts, known = len(stage.server.posts), len(stage.steps())
        stage.play(3)
        stage.check()
        return [died, posts, known, round(stage.units(), 4), [o.side for o in stage.server.ours()], stage.state.name]

folder = Path(sys.argv[1])
for number, (point, fate) in enumerate(json.loads(sys.argv[2])):
    place = folder / str(number)
    place.mkdir()
    try:
        print(json.dumps(run(place, point, fate)), flush=True)
    except BaseException as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
"""

POINTS = (
    "before the decision is recorded",
    "after the decision is recorded",
    "before sending is recorded",
    "after sending is recorded",
    "after the request",
    "after the answer is kept",
    "before the outcome is kept",
    "after the outcome is kept",
)
PAIRS = [(point, "ok") for point in POINTS] + [
    ("after the request", "lost"),
    ("after the request", "late"),
    ("after the request", "cut after accept"),
    ("after the request", "body:{}"),
    ("after the request", "status:503"),
    ("after the request", "-2010"),
    ("after the request", "redirected:307:http://127.0.0.1:1/"),
    ("after the answer is kept", "cut after accept"),
    ("before the outcome is kept", "cut after accept"),
    ("after the outcome is kept", "body:<html></html>"),
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list:
    folder = tmp_path_factory.mktemp("kills")
    command = [sys.executable, "-c", DRIVER, str(folder), json.dumps(PAIRS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_there_are_enough_pairs() -> None:
    assert len(set(PAIRS)) == len(PAIRS) >= 15


@pytest.mark.parametrize("place", range(len(PAIRS)), ids=[f"{point}, {fate}" for point, fate in PAIRS])
def test_32_a_killed_bot_accounts_for_its_order(outcomes: list, place: int) -> None:
    point, _ = PAIRS[place]
    assert not isinstance(outcomes[place], str), outcomes[place]
    died, posts, steps, units, sides, state = outcomes[place]
    assert died == -9
    assert steps == 2
    # Killed before the request, and started while the candle is fresh, it decides anew only if nothing was decided.
    assert posts == (0 if point in POINTS[1:4] else 1)
    assert units == 0.0
    assert sides == ["BUY", "SELL"]
    assert state == "ACTIVE"
