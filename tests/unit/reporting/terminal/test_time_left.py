"""The estimate of what remains, on simulated runs whose parts take as long as we say; no clock is asked."""

from collections.abc import Iterator

import numpy as np
import pytest

from src.reporting.terminal.time_left import Part, seconds_left


def played(planned: list[float], takes: list[float], seconds: float) -> list[Part]:
    """Return the parts of a run that go on at an even speed, so many seconds after its begin."""
    parts, begun = [], 0.0
    for plan, whole in zip(planned, takes, strict=True):
        spent = min(max(0.0, seconds - begun), whole)
        parts.append(Part(plan, done=spent / whole, spent=spent))
        begun += whole
    return parts


def errors(planned: list[float], takes: list[float], after: float) -> Iterator[float]:
    """Yield by how much the estimate is off, as a share of what remains, from a share of the run on."""
    whole = sum(takes)
    for share in np.arange(after, 0.95, 0.01):
        left = (1 - share) * whole
        yield seconds_left(played(planned, takes, share * whole)) / left - 1


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


def test_a_single_part_needs_no_plan() -> None:
    assert seconds_left([Part(0.0, spent=10.0, done=0.1)]) == pytest.approx(90.0)


def test_what_was_done_before_tells_nothing_of_the_speed() -> None:
    resumed = Part(100.0, done=0.92, done_before=0.9, spent=10.0)
    assert seconds_left([resumed]) == pytest.approx(40.0)
    # Nor of the speed of others: 10 s for a fiftieth of 100 planned seconds is five times as slow as planned.
    later = Part(50.0)
    assert seconds_left([resumed, later]) - seconds_left([resumed]) == pytest.approx(
        50.0 * (10.0 + 0.005 * 150) / (2.0 + 0.005 * 150)
    )


def test_a_part_without_measure_counts_down_from_its_plan_and_never_below_nothing() -> None:
    assert seconds_left([Part(20.0, waited=5.0)]) == pytest.approx(15.0)
    assert seconds_left([Part(20.0, waited=50.0)]) == 0.0
    assert seconds_left([]) == 0.0


def test_between_two_counts_the_time_that_passes_is_taken_off_up_to_one_count() -> None:
    """One of four took 10 s: 30 s are left, 26 s four seconds later, and 20 s however late the second is."""
    part = Part(0.0, done=0.25, spent=10.0, unit=0.25)
    assert seconds_left([part]) == pytest.approx(30.0)
    part.waited = 4.0
    assert seconds_left([part]) == pytest.approx(26.0)
    part.waited = 60.0
    assert seconds_left([part]) == pytest.approx(20.0)
    part.reach(0.5)
    assert [part.spent, part.waited, seconds_left([part])] == [70.0, 0.0, pytest.approx(70.0)]
