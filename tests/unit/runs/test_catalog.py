"""The catalogue: what it reads, what it says of damage, and that it leaves everything as it was."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.agents.model_file import CHAMPION_STAGE, model_path, save_model
from src.config.load import load_training_config, save_resolved
from src.reporting.comparison import make_comparison
from src.reporting.html.comparison_page import write_comparison
from src.reporting.report import write_result
from src.reporting.summary import Description, Report, make_report
from src.reporting.tracking.metrics_file import METRICS_FILE, MetricsFile
from src.reporting.tracking.tracker import Moment
from src.runs.catalog import list_models, list_reports, list_runs, read_run
from src.runs.entries import State
from src.runs.run_folder import CONFIG_FILE, DATA_FILE, StageFolder, StageResult, lock_file, locked, write_json
from tests.support.model_files import EXAMPLE
from tests.support.simulated_records import simulate

ROOT = Path(__file__).resolve().parents[3]
CONFIG = load_training_config(["symbol=BTC/USDT", "seed=3", "~sequence.stage_2_moe", "~sequence.stage_3_maml"])
RESULT = StageResult(Path("checkpoints/BTCUSDT_stage_1_ppo.pth"), 120, 12, 40_960, 6.5, {"sharpe": 0.75})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run whose first stage is complete and whose population has bred three generations."""
    folder = tmp_path / "runs" / "BTCUSDT_0123456789ab"
    save_resolved(CONFIG, folder / CONFIG_FILE)
    write_json(folder / DATA_FILE, {"fingerprint": "f00d", "timeframe": "1h", "bars": 900, "time": [1, 2]})
    first = StageFolder(folder / "stage_1_ppo")
    log(first.path, {10: {"validation/sharpe": 0.5, "losses/entropy": 1.1}, 120: {"validation/sharpe": 0.75}})
    save_model(first.model, EXAMPLE)
    first.complete(RESULT)
    log(folder / "stage_4_autonomous", {3: {"population/best": 0.25}})
    return folder


def log(folder: Path, steps: dict[int, dict[str, float]]) -> None:
    file = MetricsFile(folder)
    for step, metrics in steps.items():
        file.log(Moment(step, 100 * step), metrics)


def report(model: str, targets: float, sha256: str = "") -> Report:
    closes = 100.0 * np.exp(np.cumsum(np.random.default_rng(0).normal(0.0, 0.01, 300)))
    account = simulate(np.full(300, targets), closes, 10_000.0, 2e-4, 1e-4, 1e-4, 1e-6)
    about = Description(model, "BTC/USDT", "1h", "test", data_fingerprint="f00d", model_sha256=sha256)
    return make_report(about, account.records, account.bars, 252.0, 10_000.0, np.random.default_rng(0))


def test_a_run_is_read_stage_by_stage(run: Path) -> None:
    (entry,) = list_runs(run.parent).entries
    assert (entry.name, entry.symbol, entry.seed) == (run.name, "BTC/USDT", 3)
    assert (entry.timeframe, entry.data_fingerprint) == ("1h", "f00d")
    assert (entry.state, entry.champion) == (State.interrupted, None)
    first, last = entry.stages
    assert (first.name, first.algorithm, first.state) == ("stage_1_ppo", "PPO", State.complete)
    assert (first.done, first.planned, first.result) == (120, 120, RESULT)
    assert first.metrics == {"validation/sharpe": 0.75, "losses/entropy": 1.1}  # the latest of each
    assert first.model is not None
    assert (first.model.path, first.model.verdict) == (run / "stage_1_ppo/model.pth", EXAMPLE.verdict)
    generations = CONFIG.sequence["stage_4_autonomous"].generations  # type: ignore[attr-defined]
    assert (last.state, last.done, last.planned, last.result) == (State.interrupted, 3, generations, None)


def test_a_complete_run_names_its_champion(run: Path) -> None:
    last = StageFolder(run / "stage_4_autonomous")
    save_model(last.model, replace(EXAMPLE, kind="autonomous", stage=CHAMPION_STAGE, verdict="promoted"))
    last.complete(RESULT)
    entry = read_run(run)
    assert entry.state is State.complete
    assert entry.champion is not None
    assert (entry.champion.role, entry.champion.verdict) == ("champion", "promoted")
    assert list(entry.models) == ["stage_1_ppo", "stage_4_autonomous"]


def test_a_run_that_goes_on_is_running_and_is_not_disturbed(run: Path) -> None:
    with locked(run):
        entry = read_run(run)
        assert entry.state is State.running
        assert [stage.state for stage in entry.stages] == [State.complete, State.running]
    assert read_run(run).state is State.interrupted


def test_reading_writes_nothing_and_takes_no_lock(run: Path) -> None:
    lock_file(run).touch()
    os.utime(lock_file(run), (1, 1))
    before = {path: path.stat().st_mtime_ns for path in sorted(run.parent.rglob("*"))}
    check = f"""
import fcntl
fcntl.flock = None  # whoever asks for a lock fails
from pathlib import Path
from src.runs.catalog import list_runs
assert len(list_runs(Path({str(run.parent)!r})).entries) == 1
"""
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
    assert {path: path.stat().st_mtime_ns for path in sorted(run.parent.rglob("*"))} == before


def test_a_stage_whose_turn_has_not_come_is_waiting(run: Path) -> None:
    (run / "stage_4_autonomous" / METRICS_FILE).unlink()
    (run / "stage_4_autonomous").rmdir()
    assert [stage.state for stage in read_run(run).stages] == [State.complete, State.waiting]


def test_a_stage_algorithm_of_ones_own_counts_as_it_likes(run: Path) -> None:
    (run / CONFIG_FILE).write_text("symbol: A\nseed: 0\nsequence: {mine: {algorithm: Mine, steps: 9}}")
    log(run / "mine", {4: {"loss": 0.5}})
    (stage,) = read_run(run).stages
    assert (stage.algorithm, stage.done, stage.planned, stage.metrics) == ("Mine", 4, None, {"loss": 0.5})


def test_a_metric_line_that_is_half_written_is_left_out(run: Path) -> None:
    with (run / "stage_4_autonomous" / METRICS_FILE).open("a") as file:
        file.write('{"step": 4, "population/be')
    last = read_run(run).stages[-1]
    assert (last.done, last.metrics) == (3, {"population/best": 0.25})


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("result.json", b'{"model_path": "x"', "damaged result"),
        ("result.json", b'{"model_path": "x"}', "damaged result"),
        ("model.pth", b"PK but no model", "model.pth is damaged"),
    ],
)
def test_damage_of_one_stage_is_told_apart(run: Path, file: str, content: bytes, named: str) -> None:
    (run / "stage_1_ppo" / file).write_bytes(content)
    entry = read_run(run)
    assert entry.state is State.damaged
    assert [stage.state for stage in entry.stages] == [State.damaged, State.interrupted]
    assert named in entry.stages[0].problem


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        (CONFIG_FILE, None, "holds no config.yaml"),
        (CONFIG_FILE, b"symbol: [", "config.yaml is damaged"),
        (CONFIG_FILE, b"just words", "holds no settings"),
        (CONFIG_FILE, b"symbol: A", "'sequence'"),
        (DATA_FILE, b"[", "data.json is damaged"),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason_beside_the_others(
    run: Path, file: str, content: bytes | None, named: str
) -> None:
    broken = run.parent / "BTCUSDT_broken"
    save_resolved(CONFIG, broken / CONFIG_FILE)
    if content is None:
        (broken / file).unlink()
    else:
        (broken / file).write_bytes(content)
    listing = list_runs(run.parent)
    assert [entry.folder for entry in listing.entries] == [run]
    (damaged,) = listing.damaged
    assert damaged.path == broken
    assert named in damaged.reason
    assert "\n" not in damaged.reason


def test_models_say_which_stands_for_their_symbol(tmp_path: Path) -> None:
    for place, (symbol, stage) in enumerate(
        [("BTC/USDT", "stage_1_ppo"), ("BTC/USDT", CHAMPION_STAGE), ("ETH/USDT", "a"), ("ETH/USDT", "b")]
    ):
        path = model_path(symbol, stage, tmp_path)
        save_model(path, replace(EXAMPLE, symbol=symbol, stage=stage))
        os.utime(path, (1_000 + place, 1_000 + place))
    save_model(tmp_path / "renamed.pth", EXAMPLE)
    (tmp_path / "broken.pth").write_bytes(b"nothing of the kind")
    listing = list_models(tmp_path)
    assert {entry.path.stem: entry.role for entry in listing.entries} == {
        "renamed": "stage model",
        "ETHUSDT_b": "newest stage model",
        "ETHUSDT_a": "stage model",
        "BTCUSDT_autonomous_final": "champion",
        "BTCUSDT_stage_1_ppo": "stage model",
    }
    assert [entry.path.stem for entry in listing.entries][1:] == [
        "ETHUSDT_b", "ETHUSDT_a", "BTCUSDT_autonomous_final", "BTCUSDT_stage_1_ppo",
    ]  # fmt: skip
    assert [damaged.path.name for damaged in listing.damaged] == ["broken.pth"]
    assert "not a model file" in listing.damaged[0].reason


def test_the_days_a_model_learned_from_are_those_its_bars_cover(tmp_path: Path) -> None:
    day = 86_400_000
    split = {"train": {"rows": [0, 10], "time": [day, 10 * day]}}  # daily bars that close at midnight
    save_model(tmp_path / "a.pth", replace(EXAMPLE, split=split))
    save_model(tmp_path / "b.pth", replace(EXAMPLE, split={}))
    trained = {entry.path.stem: entry.trained for entry in list_models(tmp_path).entries}
    assert trained == {"a": ("1970-01-01", "1970-01-10"), "b": None}


def test_reports_of_every_kind_are_read(tmp_path: Path) -> None:
    long, short = report("long", 1.0, sha256="beef"), report("short", -1.0)
    write_result(tmp_path / "reports" / "one", long)
    comparison = make_comparison([long, short], np.random.default_rng(0))
    write_comparison(tmp_path / "reports" / "two", comparison)
    entries = {entry.folder.name: entry for entry in list_reports(tmp_path / "reports").entries}
    one, two = entries["one"], entries["two"]
    assert (one.kind, two.kind) == ("backtest", "comparison")
    for entry in (one, two):
        assert (entry.symbol, entry.timeframe, entry.split, entry.data_fingerprint) == (
            "BTC/USDT",
            "1h",
            "test",
            "f00d",
        )
        assert entry.models_sha256 == ("beef",)
        assert entry.figures["long"]["total_return"] == pytest.approx(long.performance.total_return)
    assert two.figures["short"]["sharpe"] == pytest.approx(short.performance.sharpe)
    assert two.verdicts == tuple(comparison.verdicts)


def test_rolling_retrains_are_reports_and_no_runs(run: Path) -> None:
    folder = run.parent / "rolling_0123456789ab"
    folder.mkdir()
    step = {"description": {"data_fingerprint": "f00d", "model_sha256": "beef"}}
    figures = {"symbol": "A", "timeframe": "1h", "first_day": "2020-01-01", "last_day": "2020-02-01", "verdict": "luck"}
    content = figures | {"stitched": {"sharpe": 0.5}, "steps": [step, step]}
    (folder / "rolling.json").write_text(json.dumps(content))
    assert [entry.folder for entry in list_runs(run.parent).entries] == [run]
    (entry,) = list_reports(run.parent.parent / "reports", run.parent).entries
    assert (entry.kind, entry.split, entry.figures) == ("rolling", "2 steps", {"stitched": {"sharpe": 0.5}})
    assert entry.models_sha256 == ("beef", "beef")


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "holds no report"), (b"{", "damaged"), (b"[]", "no figures"), (b"{}", "'description'")],
)
def test_a_damaged_report_is_listed_with_the_reason(tmp_path: Path, content: bytes | None, named: str) -> None:
    write_result(tmp_path / "good", report("long", 1.0))
    (tmp_path / "bad").mkdir()
    (tmp_path / ".draft").mkdir()  # one that is being written is none yet
    if content is not None:
        (tmp_path / "bad" / "summary.json").write_bytes(content)
    listing = list_reports(tmp_path)
    assert [entry.folder.name for entry in listing.entries] == ["good"]
    (damaged,) = listing.damaged
    assert named in damaged.reason


def test_folders_that_do_not_exist_hold_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert list_runs(nowhere) == list_models(nowhere) == list_reports(nowhere, nowhere)
    assert list_runs(nowhere).entries == list_runs(nowhere).damaged == ()
    assert list(tmp_path.iterdir()) == []


def test_neither_ray_torch_nor_matplotlib_is_loaded(run: Path) -> None:
    write_result(run.parent.parent / "reports" / "one", report("long", 1.0))
    check = f"""
import sys
from src.runs.__main__ import main
assert main(["--runs", {str(run.parent)!r}, "--reports", {str(run.parent.parent / "reports")!r}]) == 0
assert not {{"ray", "torch", "matplotlib"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT, capture_output=True, text=True)
    assert run.name in done.stdout
