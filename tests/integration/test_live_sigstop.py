"""Stopped with SIGSTOP between two steps, for longer than a candle is fresh, a bot sends nothing late when it goes on.

Real processes, forked from one interpreter; the exchange's time is shared with them, and moves while they are stopped.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
DRIVER = """
import json, os, signal, sys, traceback
from dataclasses import replace
from pathlib import Path
from src.brokerage import ccxt_account
from tests.support.bot_process import STOPPED_MS, SharedTimeServer
from tests.support.fault_matrix.interruptions import Steps
from tests.support.live_scene import FIRST, Stage
from tests.support.live_setup import CONFIG, START

ccxt_account.TIMEOUT_MS = 1_500

class SharedStage(Stage):
    def make_server(self, rows):
        return SharedTimeServer(rows, START)

def run(folder, at):
    config = replace(CONFIG, decision_window_frac=0.02)  # 72 s
    with SharedStage(folder, [1.0, 1.0, 0.0, 0.0], config=config) as stage:
        stage.services.journal.close()
        stage.at_candle(FIRST)
        names, told = os.pipe()
        child = os.fork()
        if child == 0:
            def stop():
                os.write(told, steps.name.encode())
                os.kill(os.getpid(), signal.SIGSTOP)
            steps = Steps(at, stop)
            steps.watch(stage)
            stage.worker.once()
            os._exit(0)
        _, status = os.waitpid(child, os.WUNTRACED)
        was_stopped = os.WIFSTOPPED(status)
        stage.server.now_ms += STOPPED_MS
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
        posts = len(stage.server.posts)
        stage.restart()
        stage.check()
        stage.play(3)
        stage.check()
        return [was_stopped, status, os.read(names, 100).decode(), posts, round(stage.units(), 4), stage.state.name]

folder = Path(sys.argv[1])
for at in json.loads(sys.argv[2]):
    place = folder / str(at)
    place.mkdir()
    try:
        print(json.dumps(run(place, at)), flush=True)
    except BaseException:
        print(json.dumps(traceback.format_exc()), flush=True)
"""
STEPS = tuple(range(0, 24, 2))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list:
    folder = tmp_path_factory.mktemp("stops")
    command = [sys.executable, "-c", DRIVER, str(folder), json.dumps(STEPS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("place", range(len(STEPS)), ids=map(str, STEPS))
def test_51_a_bot_that_is_stopped_at_a_step_goes_on_and_sends_nothing_late(outcomes: list, place: int) -> None:
    assert not isinstance(outcomes[place], str), outcomes[place]
    was_stopped, status, _, _, units, state = outcomes[place]
    assert was_stopped
    assert status == 0
    assert units == 0.0
    assert state == "ACTIVE"


def test_51_stopped_before_the_order_it_sends_none_and_stopped_after_it_does_not_send_it_again(outcomes: list) -> None:
    names = [name for _, _, name, *_ in outcomes]
    posts = {name: count for _, _, name, count, *_ in outcomes}
    assert any(name.endswith("commit") for name in names)
    assert posts["before GET time"] == 0
    assert set(posts.values()) == {0, 1}
