"""What a server has to offer the bot, and what it may lack: no trainer, and folders it cannot write (fault 40)."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from src.journal.journal import Journal
from src.market.history.bar_store import COLUMNS
from tests.support.live_champion import minutes_until_now
from tests.support.live_command import ROOT, start
from tests.support.live_setup import random_rows
from tests.support.waiting import PATIENCE_S

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def without_trainer(folder: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "tests/support/without_trainer.py"), str(ROOT / program), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def test_a_champion_is_backtested_without_a_trainer(folder: Path) -> None:
    bars = pd.DataFrame(minutes_until_now(random_rows(900)), columns=list(COLUMNS))
    bars.to_csv(folder / "bars.csv", index=False)
    done = without_trainer(folder, "run_backtest.py", "--symbol", "BTC/USDT", "--data", "bars.csv", "--split", "all")
    assert done.returncode == 0, done.stderr
    assert "Sharpe ratio" in done.stdout


@pytest.mark.parametrize("arguments", [["+experiment=smoke"], ["--dry-run"]], ids=["run", "dry run"])
def test_training_without_a_trainer_names_what_to_install(folder: Path, arguments: Sequence[str]) -> None:
    done = without_trainer(folder, "run_training.py", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for words in ("error: ", "ray", "'.[train]'"):
        assert words in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    (folder / "state").mkdir()
    Journal(f"sqlite:///{folder}/state/journal.db").close()
    reading, writing = os.pipe()
    os.close(reading)
    process = start(folder, "status", stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")


# Permissions do not bind root, unless it gives up what says so; then they bind it as anybody.


def bound_by_permissions() -> None:
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def test_permissions_bind_in_these_tests(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    command = ["touch", str(tmp_path / "file")]
    done = subprocess.run(command, preexec_fn=bound_by_permissions, capture_output=True, text=True, check=False)
    assert "Permission denied" in done.stderr
    assert list(tmp_path.iterdir()) == []


def make_read_only(folder: Path, what: str) -> None:
    state = folder / "state"
    if what != "the folder above":
        state.mkdir()
    if what == "the journal":
        (state / "journal.db").touch(0o444)
    if what == "a journal in use":
        Journal(f"sqlite:///{state}/journal.db").close()
    if what == "the folder above":
        folder.chmod(0o555)
    elif what != "the journal":
        state.chmod(0o555)
        for path in state.iterdir():
            path.chmod(0o444)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("run", "the folder"),
        ("run", "the folder above"),
        ("run", "the journal"),
        ("run", "a journal in use"),
    ],
)
def test_40_what_cannot_be_written_is_refused_in_one_sentence(folder: Path, command: str, what: str) -> None:
    make_read_only(folder, what)
    process = start(folder, command, first=bound_by_permissions)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (2, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "state" in err
    assert "rights" in err


def test_40_to_look_nothing_needs_to_be_written(folder: Path) -> None:
    make_read_only(folder, "a journal in use")
    process = start(folder, "status", first=bound_by_permissions)
    out, err = process.communicate(timeout=PATIENCE_S)
    said = ["BTC/USDT: no candle was processed yet", "no bot is seen to run on this machine"]
    assert (process.returncode, out.splitlines(), err) == (0, said, "")


def test_40_only_the_state_needs_to_be_written(folder: Path) -> None:
    (folder / "state").mkdir()
    for name in ("config", "checkpoints", "."):
        (folder / name).chmod(0o555)
    process = start(folder, "doctor", first=bound_by_permissions)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out + err
    assert {line[:2] for line in out.splitlines()} == {"ok"}
