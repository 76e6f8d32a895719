"""The matrix of faults can be failed: a deliberately naive bot fails much of what ours survives."""

from pathlib import Path

import pytest

from src.brokerage import ccxt_account
from tests.support.live_scene import FATES
from tests.support.naive_bot import MATRIX, naive_fails, ours_survives

# Without a memory of orders there is no way through these.
CERTAIN = {
    "2 cut after accept",
    "2 cut in the middle of the answer",
    "3 time-out after accept",
    *(f"6 status {status} after accept" for status in (500, 502, 503, 504)),
    "11 a part fills, the rest later",
    "12 a part fills, the rest lapses",
    "12 nothing fills",
    "15 fee in base coin",
    "16 clock 20 s behind",
    "16 clock 20 s ahead",
    "32 killed after the order",
    "35 power lost after the order",
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ccxt_account, "TIMEOUT_MS", 1_500)


@pytest.mark.parametrize("name", [name for name in MATRIX if name not in FATES])  # those: test_live_faults.py
def test_ours_survives(tmp_path: Path, name: str) -> None:
    ours_survives(tmp_path, name)


def test_without_faults_the_naive_bot_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATRIX, "none", lambda stage: None)
    assert not naive_fails(tmp_path, "none")


def test_the_naive_bot_fails_wherever_it_cannot_know(tmp_path: Path) -> None:
    failed = {name for place, name in enumerate(MATRIX) if naive_fails(_folder(tmp_path, place), name)}
    assert failed >= CERTAIN, CERTAIN - failed
    assert len(failed) >= 16


def _folder(parent: Path, place: int) -> Path:
    folder = parent / str(place)
    folder.mkdir()
    return folder
