"""The matrix of faults can be failed: a deliberately naive bot fails most of what ours survives."""

from pathlib import Path

import pytest

from src.execution import exchange
from tests.live_naive import fails

SURVIVED = ("ok",)
FAILED = (
    "lost",
    "late",
    "cut after accept",
    "cut mid-body",
    "hang after accept",
    "status:503",
    "-2010",
    "-1021",
)


@pytest.mark.parametrize("fate", SURVIVED)
def test_without_faults_the_naive_bot_is_fine(tmp_path: Path, fate: str) -> None:
    assert not fails(tmp_path, fate)


def test_the_naive_bot_fails_what_ours_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "TIMEOUT_MS", 1_500)
    failed = [fate for place, fate in enumerate(FAILED) if fails(_folder(tmp_path, place), fate)]
    assert {"cut after accept", "cut mid-body", "hang after accept"} <= set(failed), failed
    assert len(failed) >= len(FAILED) // 2, failed


def _folder(parent: Path, place: int) -> Path:
    folder = parent / str(place)
    folder.mkdir()
    return folder
