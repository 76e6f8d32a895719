"""Run folders: identity, the lock, and states that are whole or absent."""

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from src.errors import RunLocked
from src.runs import run_folder
from src.runs.run_folder import StageFolder, StageResult, locked, run_id, write_json


def test_run_id_depends_on_settings_and_data() -> None:
    assert run_id("a", "b") == run_id("a", "b")
    assert len({run_id("a", "b"), run_id("x", "b"), run_id("a", "y")}) == 3


def test_a_second_process_is_refused_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    attempt = f"""
from pathlib import Path
from src.errors import RunLocked
from src.runs.run_folder import locked
try:
    with locked(Path({str(folder)!r})):
        print("held")
except RunLocked as error:
    print("refused", error)
"""

    def second_process() -> str:
        root = Path(__file__).resolve().parents[3]
        done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=True, cwd=root)
        return done.stdout

    with locked(folder):
        assert second_process().startswith("refused another process is training in")
    assert second_process() == "held\n"


def test_the_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "run"):
        raise ZeroDivisionError
    with locked(tmp_path / "run"):
        pass


def test_a_second_lock_in_one_process_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path / "run"), pytest.raises(RunLocked, match="another process"), locked(tmp_path / "run"):
        pass


def test_only_the_last_complete_state_is_kept(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path / "stage")
    assert folder.state is None
    folder.save_state(5, lambda draft: (draft / "weights").write_text("5"))
    folder.save_state(10, lambda draft: (draft / "weights").write_text("10"))
    assert folder.state is not None
    assert (folder.state / "weights").read_text() == "10"
    assert len(list(folder.path.glob("state_*"))) == 1


def test_an_interrupted_save_leaves_the_earlier_state(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path / "stage")
    folder.save_state(5, lambda draft: (draft / "weights").write_text("5"))

    def dies_half_way(draft: Path) -> None:
        (draft / "weights").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.save_state(10, dies_half_way)
    assert folder.state is not None
    assert (folder.state / "weights").read_text() == "5"


def test_a_full_disk_is_called_so_whatever_torch_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_: Path) -> None:
        raise RuntimeError("unexpected pos 576 vs 534")

    stage = StageFolder(tmp_path / "stage")
    with pytest.raises(RuntimeError, match="unexpected pos"):
        stage.save_state(1, write)
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(OSError, match="No space left") as full:
        stage.save_state(1, write)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, str(stage.path / "draft"))
    assert stage.state is None


def test_completion_is_recorded_and_frees_the_state(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path / "stage")
    folder.save_state(5, lambda draft: (draft / "weights").write_text("5"))
    assert folder.result is None
    result = StageResult(tmp_path / "model.pth", 5, 1, 640, 0.5, {"sharpe": 0.25})
    folder.complete(result)
    assert folder.result == result
    assert folder.state is None


def test_json_refuses_nan_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"sharpe": float("nan")})
    assert not path.exists()


def test_looking_at_a_stage_folder_makes_nothing(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path / "run" / "stage")
    assert folder.result is None
    assert folder.state is None
    assert list(tmp_path.iterdir()) == []
