"""The estimate of what remains, on simulated runs whose parts take as long as we say; no clock is asked."""

from collections.abc import Iterator

import numpy as np
import pytest

from src.reporting.terminal.time_left import Part, seconds_left

COUNTS = 50


def played(planned: list[float], takes: list[float], seconds: float, slow_start: float = 0.0) -> list[Part]:
    """Return the parts of a run so many seconds after its begin; each is counted 50 times, at an even speed.

    Args:
        slow_start: seconds of each part before it goes on evenly.
    """
    parts, begun = [], 0.0
    for plan, whole in zip(planned, takes, strict=True):
        part, unit = Part(plan, unit=1 / COUNTS), (whole - slow_start) / COUNTS
        for count in range(1, COUNTS + 1):
            if begun + slow_start + count * unit <= seconds:
                part.waited = unit + (slow_start if count == 1 else 0.0)
                part.reach(count / COUNTS)
        part.waited = max(0.0, seconds - begun - part.spent) if part.done < 1 else 0.0
        parts.append(part)
        begun += whole
    return parts


def errors(planned: list[float], takes: list[float], after: float, slow_start: float = 0.0) -> Iterator[float]:
    """Yield by how much the estimate is off, as a share of what remains, from a share of the run on."""
    whole = sum(takes)
    for share in np.arange(after, 0.95, 0.01):
        left = (1 - share) * whole
        yield seconds_left(played(planned, takes, share * whole, slow_start)) / left - 1


def test_a_run_that_keeps_to_its_plan_is_foretold_exactly() -> None:
    planned = [83.0, 59.0, 17.0, 130.0]
    assert seconds_left([Part(seconds) for seconds in planned]) == pytest.approx(289.0)
    assert max(map(abs, errors(planned, planned, after=0.02))) < 1e-9


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0, 10.0])
def test_a_machine_of_another_speed_is_noticed_in_the_first_tenth(factor: float) -> None:
    planned = [83.0, 59.0, 17.0, 130.0]
    takes = [factor * seconds for seconds in planned]
    assert max(map(abs, errors(planned, takes, after=0.1))) < 0.3


def test_stages_off_by_a_quarter_each_way_stay_within_thirty_per_cent() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        planned = rng.uniform(10.0, 150.0, size=5)
        takes = 3.0 * planned * rng.uniform(0.87, 1.13, size=5)
        assert max(map(abs, errors(list(planned), list(takes), after=0.1))) < 0.3


def test_what_is_built_on_first_use_tells_nothing_of_the_rest() -> None:
    planned = [83.0, 59.0, 17.0, 130.0]
    takes = [2.0 * seconds + 6.0 for seconds in planned]
    assert max(map(abs, errors(planned, takes, after=0.1, slow_start=6.0))) < 0.3


def test_a_single_part_needs_no_plan() -> None:
    part = Part(0.0, unit=0.1, waited=10.0)
    part.reach(0.1)
    assert seconds_left([part]) == pytest.approx(90.0)
    part.waited = 8.0
    part.reach(0.2)
    assert seconds_left([part]) == pytest.approx(64.0)


def test_what_was_done_before_tells_nothing_of_the_speed() -> None:
    resumed, later = Part(100.0, done=0.9, begun_at=0.9, unit=0.01), Part(50.0)
    for count in (0.91, 0.92, 0.93):
        resumed.waited = 5.0
        resumed.reach(count)
    assert seconds_left([resumed]) == pytest.approx(35.0)
    # 5 s for a hundredth of 100 planned seconds: five times as slow as planned, and so is what comes.
    assert seconds_left([resumed, later]) - 35.0 == pytest.approx(50.0 * (10.0 + 0.005 * 150) / (2.0 + 0.005 * 150))


def test_a_part_without_measure_counts_down_from_its_plan_and_never_below_nothing() -> None:
    assert seconds_left([Part(20.0, waited=5.0)]) == pytest.approx(15.0)
    assert seconds_left([Part(20.0, waited=50.0)]) == 0.0
    assert seconds_left([]) == 0.0


def test_between_two_counts_the_time_that_passes_is_taken_off_up_to_one_count() -> None:
    """Each of four takes 10 s: 20 s are left after two, 16 s four seconds later, and 10 s however late the third is."""
    part = Part(0.0, unit=0.25)
    for count in (0.25, 0.5):
        part.waited = 10.0
        part.reach(count)
    lefts = []
    for part.waited in (0.0, 4.0, 60.0):
        lefts.append(seconds_left([part]))
    assert lefts == pytest.approx([20.0, 16.0, 10.0])
