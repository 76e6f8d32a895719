"""Metrics arrive where they should, and a resumed run leaves no second version of a step."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src.config.runtime import TrackingConfig
from src.errors import ConfigError
from src.reporting import tracking
from src.reporting.tracking import (
    CompositeTracker,
    MetricsFile,
    NullTracker,
    TensorBoardTracker,
    WandbTracker,
    build_tracker,
)


class Recorder(NullTracker):
    """Notes what it is told; refuses to close if asked to."""

    def __init__(self, fails: bool = False) -> None:
        self.told: list[object] = []
        self._fails = fails

    def resume(self, step: int) -> None:
        self.told.append(("resume", step))

    def log(self, step, metrics) -> None:
        self.told.append((step, dict(metrics)))

    def close(self) -> None:
        self.told.append("close")
        if self._fails:
            raise OSError("disk full")


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, round(event.value, 6)) for event in accumulator.Scalars(name)]


def test_metrics_file_holds_a_line_per_step_and_null_for_what_is_not_a_number(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "run" / "metrics.jsonl")
    file.resume(0)
    file.log(1, {"loss": 0.5})
    file.log(2, {"loss": float("nan"), "return": 3})
    assert lines(tmp_path / "run" / "metrics.jsonl") == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": None, "return": 3.0},
    ]


def test_resuming_cuts_the_metrics_file_back_and_drops_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    for step in (1, 2, 3):
        file.log(step, {"loss": float(step)})
    with path.open("a") as handle:
        handle.write('{"step": 4, "lo')
    file.resume(2)
    file.log(3, {"loss": 30.0})
    assert [line["loss"] for line in lines(path)] == [1.0, 2.0, 30.0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_starting_anew_forgets_everything(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.log(1, {"loss": 1.0})
    file.resume(0)
    assert lines(tmp_path / "metrics.jsonl") == []


def test_tensorboard_reads_one_curve_from_an_interrupted_and_resumed_run(tmp_path: Path) -> None:
    first = TensorBoardTracker(tmp_path)
    first.resume(0)
    for step in (1, 2, 3, 4):
        first.log(step, {"losses/policy_loss": step / 10})
    first.close()
    second = TensorBoardTracker(tmp_path)
    second.resume(2)  # the state of step 2 is the last that was saved
    for step in (3, 4, 5):
        second.log(step, {"losses/policy_loss": float(step)})
    second.close()
    assert scalars(tmp_path, "losses/policy_loss") == [(1, 0.1), (2, 0.2), (3, 3.0), (4, 4.0), (5, 5.0)]


def test_wandb_offline_writes_below_the_run_folder_and_resumes_by_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    for last_step, step in ((0, 1), (1, 2)):
        tracker = WandbTracker(tmp_path, "supertrader", "run/stage", "offline", {"seed": 1})
        tracker.resume(last_step)
        tracker.log(step, {"loss": 0.5})
        tracker.close()
    ids = {path.stem.removeprefix("run-") for path in tmp_path.glob("wandb/offline-*/*.wandb")}
    assert ids == {(tmp_path / "wandb_id.txt").read_text().strip()}


def test_composite_tracker_closes_all_even_if_one_fails() -> None:
    members = [Recorder(), Recorder(fails=True), Recorder()]
    tracker = CompositeTracker(members)
    tracker.resume(4)
    tracker.log(5, {"loss": 1.0})
    with pytest.raises(OSError, match="disk full"):
        tracker.close()
    assert all(member.told == [("resume", 4), (5, {"loss": 1.0}), "close"] for member in members)


def test_nothing_is_written_before_the_first_use(tmp_path: Path) -> None:
    build_tracker(TrackingConfig(), tmp_path / "run", "run").close()
    assert not (tmp_path / "run").exists()


def test_build_tracker_follows_the_settings(tmp_path: Path) -> None:
    tracker = build_tracker(TrackingConfig(tensorboard=False), tmp_path, "run")
    tracker.log(1, {"loss": 1.0})
    tracker.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    tracker = build_tracker(TrackingConfig(tensorboard=True), tmp_path, "run")
    tracker.log(2, {"loss": 1.0})
    tracker.close()
    assert scalars(tmp_path, "loss") == [(2, 1.0)]


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(tracking.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"tracking.wandb=true needs .*wandb.* pip install 'supertrader\[train\]'"):
        WandbTracker(tmp_path, "p", "n", "offline")
