"""What the benchmarks share: clocks, rates, and a command line that ends as every other does."""

import time

import pytest

from benchmarks import common
from benchmarks.common import best_rates, command_line, counted, median_rates, print_rates, run_benchmark, timed


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Processor time that stands still unless a test lets it pass: the seconds of each reading are taken from here."""
    readings: list[float] = []
    monkeypatch.setattr(common.time, "process_time", lambda: readings.pop(0))
    return readings


def test_the_time_of_a_sleep_is_wall_time_alone() -> None:
    result, taken = timed(lambda: time.sleep(0.05) or "done")
    assert result == "done"
    assert taken.wall >= 0.05 > taken.processor


def test_the_fastest_round_counts(processor: list[float]) -> None:
    processor += [0.0, 2.0, 2.0, 3.0]  # rounds of 2 s and of 1 s
    assert best_rates({"ten": counted(lambda: None, 10)}, rounds=2) == {"ten": 10.0}


def test_runs_take_turns() -> None:
    order: list[str] = []
    runs = {name: counted(lambda name=name: order.append(name), 1) for name in ("a", "b")}
    best_rates(runs, rounds=2)
    assert order == ["a", "b", "a", "b"]


def test_of_slow_runs_the_median_counts_and_the_first_is_not_timed(processor: list[float]) -> None:
    processor += [0.0, 1.0, 0.0, 5.0, 0.0, 2.0]  # 12, 2.4 and 6 steps a second
    calls: list[int] = []
    rates = median_rates({"run": counted(lambda: calls.append(1), 12)}, turns=3)
    assert rates == {"run": 6.0}
    assert len(calls) == 4


def test_a_run_may_have_more_iterations_a_turn() -> None:
    calls: dict[str, int] = {"a": 0, "b": 0}

    def called(name: str) -> int:
        calls[name] += 1
        return 1

    median_rates({name: lambda name=name: called(name) for name in calls}, turns=2, per_turn={"b": 3})
    assert calls == {"a": 1 + 2, "b": 1 + 6}


def test_ratios_are_to_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_rates({"plain": 1000.0, "ours": 2500.0}, "steps/s")
    plain, ours = capsys.readouterr().out.splitlines()
    assert plain.split()[-2:] == ["1.00", "x"]
    assert ours.split() == ["ours", "2,500", "steps/s", "2.50", "x"]


@pytest.mark.parametrize(("given", "code"), [(["--seeds", "3", "--set", "a=1", "b=2"], 0), (["--sed", "3"], 2)])
def test_options_reach_the_work_by_name_and_misspelt_ones_are_refused(
    given: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["python", *given])
    received: dict[str, list] = {}
    with pytest.raises(SystemExit) as ended:
        run_benchmark(
            command_line(__spec__, __doc__, seeds=(0, 1), settings=True), lambda **found: received.update(found)
        )
    assert ended.value.code == code
    assert received == ({} if code else {"seeds": [3], "settings": ["a=1", "b=2"]})
    assert ("--sed" in capsys.readouterr().err) == bool(code)
