"""Metrics arrive where they should, and a resumed run leaves no second version of a step."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from src.config.runtime import TrackingConfig
from src.errors import ConfigError
from src.reporting.tracking import packages
from src.reporting.tracking.build import build_tracker
from src.reporting.tracking.metrics_file import MetricsFile
from src.reporting.tracking.pictures import equity_picture, family_picture
from src.reporting.tracking.tensorboard import TensorBoardTracker
from src.reporting.tracking.tracker import START, CompositeTracker, Moment, Outcome
from src.reporting.tracking.weights_and_biases import RunLabels, WandbTracker

OUTCOME = Outcome({"lr": 0.002, "trunk": "transformer"}, {"validation/sharpe": 0.5}, verdict="promoted")


def moment(step: int) -> Moment:
    return Moment(step, 100 * step)


class Recorder:
    """Notes what it is told; refuses to close if asked to."""

    def __init__(self, fails: bool = False) -> None:
        self.told: list[object] = []
        self._fails = fails

    def resume(self, when) -> None:
        self.told.append(("resume", when))

    def log(self, when, metrics) -> None:
        self.told.append((when, dict(metrics)))

    def show(self, when, name, picture) -> None:
        self.told.append((when, name))

    def finish(self, when, outcome) -> None:
        self.told.append((when, outcome))

    def part(self, name: str) -> "Recorder":
        self.told.append(("part", name))
        return self

    def close(self) -> None:
        self.told.append("close")
        if self._fails:
            raise OSError("disk full")


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 6)) for event in events(folder).Scalars(name)]


def test_metrics_file_holds_a_line_per_step_and_null_for_what_is_not_a_number(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "run")
    file.resume(START)
    file.log(moment(1), {"loss": 0.5})
    file.log(moment(2), {"loss": float("nan"), "return": 3})
    assert lines(tmp_path / "run" / "metrics.jsonl") == [
        {"step": 1, "env_steps": 100, "loss": 0.5},
        {"step": 2, "env_steps": 200, "loss": None, "return": 3.0},
    ]


def test_resuming_cuts_the_metrics_file_back_and_drops_a_torn_line(tmp_path: Path) -> None:
    path, file = tmp_path / "metrics.jsonl", MetricsFile(tmp_path)
    for step in (1, 2, 3):
        file.log(moment(step), {"loss": float(step)})
    with path.open("a") as handle:
        handle.write('{"step": 4, "lo')
    file.resume(moment(2))
    file.log(moment(3), {"loss": 30.0})
    assert [line["loss"] for line in lines(path)] == [1.0, 2.0, 30.0]
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_starting_anew_forgets_everything(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path)
    file.log(moment(1), {"loss": 1.0})
    file.resume(START)
    assert lines(tmp_path / "metrics.jsonl") == []


def test_tensorboard_reads_one_curve_over_environment_steps_from_an_interrupted_and_resumed_run(tmp_path: Path) -> None:
    first = TensorBoardTracker(tmp_path)
    first.resume(START)
    for step in (1, 2, 3, 4):
        first.log(moment(step), {"losses/policy_loss": step / 10})
    first.close()
    second = TensorBoardTracker(tmp_path)
    second.resume(moment(2))  # the last whose state was saved
    for step in (3, 4, 5):
        second.log(moment(step), {"losses/policy_loss": float(step)})
    second.close()
    expected = [(100, 0.1), (200, 0.2), (300, 3.0), (400, 4.0), (500, 5.0)]
    assert scalars(tmp_path, "losses/policy_loss") == expected


def test_tensorboard_shows_settings_pictures_and_a_row_of_hyperparameters(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path, "seed: 7")
    tracker.resume(START)
    tracker.show(moment(1), "validation/equity", Figure())
    tracker.finish(moment(2), OUTCOME)
    tracker.close()
    found = events(tmp_path)
    assert set(found.Tags()["tensors"]) == {"settings/text_summary", "verdict/text_summary"}
    assert b"seed: 7" in found.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]
    assert [event.step for event in found.Images("validation/equity")] == [100]
    assert scalars(tmp_path, "validation/sharpe") == [(200, 0.5)]
    begin = HParamsPluginData.FromString(found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
    assert dict(begin.session_start_info.hparams)["lr"].number_value == 0.002
    assert dict(begin.session_start_info.hparams)["trunk"].string_value == "transformer"


def test_a_part_of_a_run_has_curves_of_its_own(tmp_path: Path) -> None:
    tracker = build_tracker(TrackingConfig(), tmp_path / "run")
    part = tracker.part("members/g00_m1")
    part.log(moment(1), {"rollout/reward": 0.25})
    part.close()
    folder = tmp_path / "run/members/g00_m1"
    assert scalars(folder, "rollout/reward") == [(100, 0.25)]
    assert lines(folder / "metrics.jsonl") == [{"step": 1, "env_steps": 100, "rollout/reward": 0.25}]


def test_wandb_offline_writes_below_the_run_folder_and_resumes_by_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    labels = RunLabels("supertrader", "run/stage", "offline", group="run", kind="ppo", tags=("BTCUSDT",))
    for last_step, step in ((0, 1), (1, 2)):
        tracker = WandbTracker(tmp_path, labels, {"seed": 1})
        tracker.resume(moment(last_step))
        tracker.log(moment(step), {"loss": 0.5})
        tracker.close()
    ids = {path.stem.removeprefix("run-") for path in tmp_path.glob("wandb/offline-*/*.wandb")}
    assert ids == {(tmp_path / "wandb_id.txt").read_text().strip()}


class FakeWandb:
    """Notes what Weights & Biases is told."""

    def __init__(self) -> None:
        self.options: list[dict] = []
        self.told: list[object] = []
        self.config = self.summary = {}

    def init(self, **options):
        self.options.append(options)
        self.id = f"id{len(self.options)}"
        self.config, self.summary = FakeConfig(), {}
        return self

    def Settings(self, **options):  # noqa: N802
        return options

    def Artifact(self, name, type, metadata):  # noqa: N802
        return FakeArtifact(name, type, metadata)

    def define_metric(self, name, step_metric=None) -> None:
        self.told.append((name, step_metric))

    def log(self, row) -> None:
        self.told.append(row)

    def log_artifact(self, artifact) -> None:
        self.told.append(artifact)


class FakeConfig(dict):
    def update(self, values, allow_val_change: bool) -> None:
        super().update(values)


class FakeArtifact:
    def __init__(self, name, kind, metadata) -> None:
        self.name, self.kind, self.metadata, self.files = name, kind, metadata, []

    def add_file(self, path) -> None:
        self.files.append(path)


def test_wandb_groups_the_stages_of_a_run_and_keeps_the_model_with_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = FakeWandb()
    monkeypatch.setattr(packages.importlib, "import_module", lambda name: wandb)
    config = TrackingConfig(tensorboard=False, wandb=True)
    tracker = build_tracker(config, tmp_path / "SP500_ab/stage_4", {"seed": 1}, "autonomous", ("SP500", "1d"))
    tracker.log(moment(1), {"loss": 0.5})
    tracker.part("members/g00_m1").log(moment(3), {"loss": 0.25})
    tracker.finish(moment(2), Outcome({"lr": 0.1}, {"validation/sharpe": 1.5}, tmp_path / "model.pth", "promoted"))
    stage, member = wandb.options
    assert (stage["group"], stage["job_type"], stage["tags"]) == ("SP500_ab", "autonomous", ("SP500", "1d"))
    assert (member["group"], member["job_type"]) == ("SP500_ab", "members")
    assert member["name"] == "SP500_ab/stage_4/members/g00_m1"
    assert ("*", "env_steps") in wandb.told
    assert {"step": 1, "env_steps": 100, "loss": 0.5} in wandb.told
    assert wandb.summary == {"validation/sharpe": 1.5, "verdict": "promoted"}
    artifact = wandb.told[-1]
    assert (artifact.kind, artifact.files) == ("model", [str(tmp_path / "model.pth")])
    assert artifact.metadata["verdict"] == "promoted"


def test_composite_tracker_tells_each_and_closes_all_even_if_one_fails() -> None:
    members = [Recorder(), Recorder(fails=True), Recorder()]
    tracker = CompositeTracker(members)
    tracker.resume(moment(4))
    tracker.log(moment(5), {"loss": 1.0})
    tracker.show(moment(5), "equity", Figure())
    tracker.finish(moment(6), OUTCOME)
    tracker.part("m0")
    with pytest.raises(OSError, match="disk full"):
        tracker.close()
    told = [
        *(("resume", moment(4)), (moment(5), {"loss": 1.0}), (moment(5), "equity"), (moment(6), OUTCOME)),
        *(("part", "m0"), "close"),
    ]
    assert all(member.told == told for member in members)


def test_nothing_is_written_before_the_first_use(tmp_path: Path) -> None:
    build_tracker(TrackingConfig(), tmp_path / "run").close()
    assert not (tmp_path / "run").exists()


def test_build_tracker_follows_the_settings(tmp_path: Path) -> None:
    tracker = build_tracker(TrackingConfig(tensorboard=False), tmp_path)
    tracker.log(moment(1), {"loss": 1.0})
    tracker.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    tracker = build_tracker(TrackingConfig(tensorboard=True), tmp_path)
    tracker.log(moment(2), {"loss": 1.0})
    tracker.close()
    assert scalars(tmp_path, "loss") == [(200, 1.0)]


def test_a_missing_package_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(packages.importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"tracking.wandb=true needs .*wandb.* pip install -e '.\[train\]'"):
        WandbTracker(tmp_path, RunLabels("p", "n", "offline"))


def test_the_equity_picture_shows_both_curves_from_1_on() -> None:
    times = np.arange(5_000) * 3_600_000
    closes, equity = 50.0 + np.arange(5_000.0), 10_000.0 - np.arange(5_000.0)
    strategy_last, market_last = equity[-1] / equity[0], closes[-1] / closes[0]
    (axes,) = equity_picture(times, equity, closes).axes
    curves = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert [curves["strategy"][0], curves["strategy"][-1]] == [1.0, strategy_last]
    assert [curves["buy and hold"][0], curves["buy and hold"][-1]] == [1.0, market_last]


def test_the_family_picture_joins_members_to_their_parents_and_leaves_out_who_was_not_trained() -> None:
    def record(name: str, generation: int, total: float, parent: str | None, failure: str = "") -> dict:
        return {
            "name": name,
            "generation": generation,
            "fitness": {"total": total},
            "parent": parent,
            "failure": failure,
        }

    records = [record("a", 0, 1.0, None), record("b", 0, -9.0, None, "diverged"), record("c", 1, 2.0, "a")]
    (axes,) = family_picture(records, ["a", "c"]).axes
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[0.0, 1.0], [1.0, 2.0]]]
    assert axes.collections[0].get_offsets().tolist() == [[0.0, 1.0], [1.0, 2.0]]
