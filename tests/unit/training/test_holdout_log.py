"""Every run's look counts once, also when many processes record at the same time."""

import multiprocessing
from functools import partial
from pathlib import Path

import pytest

from src.errors import DataError
from src.training.holdout_log import count_looks, record_look


def test_looks_are_counted_per_stretch_and_run(tmp_path: Path) -> None:
    ledger = tmp_path / "runs" / "sealed_looks.json"
    assert count_looks(ledger, "bars-1") == 0
    assert record_look(ledger, "bars-1", "run-a") == 1
    assert record_look(ledger, "bars-1", "run-b") == 2
    assert record_look(ledger, "bars-1", "run-a") == 2  # resumed, not another look
    assert record_look(ledger, "bars-2", "run-a") == 1
    assert count_looks(ledger, "bars-1") == 2


def test_concurrent_looks_are_all_kept(tmp_path: Path) -> None:
    ledger = tmp_path / "looks.json"
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        counts = pool.map(partial(record_look, ledger, "bars"), [f"run-{number}" for number in range(40)], chunksize=1)
    assert sorted(counts) == list(range(1, 41))
    assert count_looks(ledger, "bars") == 40


def test_a_damaged_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "looks.json"
    ledger.write_text('{"bars": ["run-a"')
    with pytest.raises(DataError, match="is not a ledger of looks"):
        record_look(ledger, "bars", "run-b")
    assert ledger.read_text() == '{"bars": ["run-a"'
