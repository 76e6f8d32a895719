"""A random sample of the matrix of faults and interruptions, which `benchmarks.live.fault_matrix` plays as a whole."""

import secrets
from pathlib import Path

import numpy as np
import pytest

from src.brokerage import ccxt_account
from tests.support.fault_matrix.case import Case, cases, run_case
from tests.support.fault_matrix.faults import FAULTS
from tests.support.fault_matrix.interruptions import INTERRUPTIONS

SAMPLE = 24


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


# What is killed in this process leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_random_sample_breaks_no_invariant(tmp_path: Path) -> None:
    seed = secrets.randbelow(10**6)
    drawn = cases(seed)
    for place in np.random.default_rng(seed).choice(len(drawn), SAMPLE, replace=False):
        folder = tmp_path / str(place)
        folder.mkdir()
        try:
            run_case(folder, drawn[place], seed)
        except AssertionError as error:
            again = f"python -m benchmarks.live.fault_matrix --seed {seed} --only {drawn[place].number}"
            raise AssertionError(f"{drawn[place]}: {error}; again: {again}") from error


def test_the_matrix_is_large_and_the_same_for_a_seed() -> None:
    assert len(cases(0)) >= 1_000
    assert cases(3) == cases(3) != cases(4)
    assert {(case.fault, case.interruption) for case in cases(0)} == {
        (fault, interruption) for fault in FAULTS for interruption in ("none", *INTERRUPTIONS)
    }


@pytest.mark.parametrize("interruption", INTERRUPTIONS)
def test_an_interruption_happens_at_the_step_that_was_drawn(tmp_path: Path, interruption: str) -> None:
    assert run_case(tmp_path, Case(0, "0 nothing", interruption, at=0), seed=0) == "before GET time"


def test_a_bot_that_sends_before_it_keeps_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Killed after the request, it knows nothing of its order: what the matrix is there to notice.
    from src.journal.journal import Journal

    monkeypatch.setattr(Journal, "mark_sending", lambda *_: None)
    broken = 0
    for case in [Case(1, "0 nothing", "killed", at) for at in range(20, 32, 2)]:
        folder = tmp_path / str(case.at)
        folder.mkdir()
        try:
            run_case(folder, case, seed=0)
        except AssertionError:
            broken += 1
    assert broken > 0
