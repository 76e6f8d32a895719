"""`RunProgress` says what is under way and how long it takes, and is never silent for long. Clocks are scripted."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from rich.console import Console

from src.reporting.terminal import progress
from src.reporting.terminal.progress import SILENCE_SECONDS, RunProgress, rounded

Lines = Callable[[], list[str]]


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    with caplog.at_level(logging.INFO):
        yield lambda: caplog.messages


def pass_time(progress: RunProgress, clock: Clock, seconds: float, said: list[float] | None = None) -> None:
    """Let the thread look twice a second, as it does; `said` takes the times at which there was a line."""
    for _ in range(round(2 * seconds)):
        clock.now += 0.5
        before = progress._last_line
        progress.tick()
        if said is not None and progress._last_line != before:
            said.append(clock.now)


def test_whatever_takes_long_is_named_every_few_seconds(lines: Lines) -> None:
    clock, said = Clock(), [100.0]
    progress = RunProgress(clock=clock)
    progress.step("starting Ray")
    pass_time(progress, clock, 23, said)
    progress.stage("stage_1_ppo")
    progress.step("building the learner")
    said.append(clock.now)
    pass_time(progress, clock, 40, said)
    progress.step("iteration", total=100)
    said.append(clock.now)
    pass_time(progress, clock, 61, said)
    gaps = [later - earlier for earlier, later in pairwise(said)]
    assert max([*gaps, clock.now - said[-1]]) <= SILENCE_SECONDS
    assert lines()[0] == "starting Ray"
    assert lines()[1] == "starting Ray, 4 s so far"
    assert "stage_1_ppo: building the learner, 36 s so far" in lines()
    assert lines()[-1] == "stage_1_ppo: iteration 0/100, 58 s so far"


def test_many_quick_updates_are_a_line_every_few_seconds(lines: Lines) -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.stage("one")
    progress.step("iteration", total=1000)
    for done in range(1, 1001):
        clock.now += 0.1
        progress.update(done)
    assert len(lines()) == pytest.approx(100 / SILENCE_SECONDS, abs=4)
    assert lines()[1] == "one: iteration 1/1000, 0:01:40 left"
    assert lines()[-1] == "one: iteration 1000/1000, 0:00:00 left"


def test_the_first_and_the_last_update_show_the_latest_of_each_figure(lines: Lines) -> None:
    progress = RunProgress(clock=Clock())
    progress.stage("stage_1_ppo")
    progress.step("iteration", total=4, done=1)
    for done in (2, 3, 4):
        progress.update(done, {"sharpe": 0.5} if done == 2 else {"steps/s": 12_345.6})
    assert lines()[1:] == [
        "stage_1_ppo: iteration 2/4, 0:00:00 left; sharpe 0.5",
        "stage_1_ppo: iteration 4/4, 0:00:00 left; sharpe 0.5  steps/s 12,346",
    ]


def test_time_left_counts_only_what_this_process_did(lines: Lines) -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.stage("stage")
    progress.step("iteration", total=100, done=90)
    for done in (91, 92):
        clock.now += 10
        progress.update(done)
    assert lines()[-2:] == ["stage: iteration 91/100, 0:01:30 left", "stage: iteration 92/100, 0:01:20 left"]


def test_all_of_the_sequence_is_foretold_from_its_first_stage(lines: Lines) -> None:
    """Planned 100 s, 50 s and 80 s; the first takes twice as long, so the others should as well."""
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.plan({"first": {"iteration": 100.0}, "second": {"iteration": 50.0}, "third": {"a": 20.0, "b": 60.0}})
    progress.step("starting")
    assert lines()[-1] == "starting, about 3.8 min left in all"
    progress.stage("first")
    progress.step("iteration", total=10)
    for done in range(1, 11):
        clock.now += 20
        progress.update(done)
        if done == 5:
            assert lines()[-1].startswith(
                "first: iteration 5/10, 0:01:40 left, stage 1 of 3, about 5.9 min left in all"
            )
    progress.stage("second")
    progress.step("iteration", total=1)
    assert lines()[-1] == "second: iteration 0/1, stage 2 of 3, about 4.3 min left in all"
    clock.now += 100
    progress.update(1)
    progress.stage("third")
    progress.step("b", total=4)  # its first step was not needed
    assert lines()[-1] == "third: b 0/4, stage 3 of 3, about 2.0 min left in all"


def test_work_that_goes_on_side_by_side_counts_half(lines: Lines) -> None:
    """Two at a time, ten seconds each: when the first of eight is there, three more rounds are to come."""
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.stage("population")
    progress.step("member", total=8)
    clock.now += 10
    progress.update(1, under_way=2)
    assert lines()[-1] == "population: member 1/8, 0:00:30 left"
    progress.update(2, under_way=2, at_once=True)  # at the same time
    clock.now += 10
    progress.update(3, under_way=2, at_once=True)
    assert lines()[-1] == "population: member 3/8, 0:00:20 left"


def test_disabled_progress_is_silent(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    clock, threads = Clock(), threading.active_count()
    with RunProgress(enabled=False, clock=clock) as progress:
        progress.step("iteration", total=1)
        progress.update(1)
        pass_time(progress, clock, 20)
        assert threading.active_count() == threads
    assert lines() == []
    assert capsys.readouterr() == ("", "")


def test_a_thread_speaks_while_the_run_is_busy_and_ends_with_it(caplog: pytest.LogCaptureFixture) -> None:
    spoken = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "so far" in record.getMessage():
                spoken.set()

    clock, listener = Clock(), Listener()
    logging.getLogger("src.reporting.terminal.progress").addHandler(listener)
    with caplog.at_level(logging.INFO), RunProgress(clock=clock) as progress:
        progress.step("importing")
        clock.now += SILENCE_SECONDS  # and the run itself says nothing
        assert spoken.wait(timeout=60)
    assert not any(thread.name == "progress" for thread in threading.enumerate())
    logging.getLogger("src.reporting.terminal.progress").removeHandler(listener)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (3, "10 s"), (61, "70 s"), (100, "1.7 min"), (5000, "83 min"), (9000, "2.5 h")],
)
def test_estimates_are_as_exact_as_they_deserve(seconds: float, text: str) -> None:
    assert rounded(seconds) == text


@pytest.mark.parametrize("width", [80, 160])
def test_a_terminal_shows_step_count_and_time_left_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress, "terminal", lambda: console)
    now = [0.0]
    with RunProgress(clock=lambda: now[0]) as shown:
        shown.plan({"stage_1_ppo": {"iteration": 100.0}, "stage_2_moe": {"iteration": 100.0}})
        shown.stage("stage_1_ppo")
        shown.step("iteration", 120)
        now[0] = 30.0
        shown.update(120, {"steps/s": 24_308.0, "reward": 0.0249, "val sharpe": 0.3})
    last = screen.getvalue()
    for text in ("stage_1_ppo: iteration", "120/120", "left, stage 1 of 2, about ", "left in all", "steps/s 24,308"):
        assert text in last
    assert "…" not in last
