"""A backtest of a model on sealed bars is counted with the looks of the promotion gate, once for each model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from src.agents.model_file import model_path, save_model
from src.config.runtime import RunConfig
from src.journal.trials import open_trials, stretch_of
from src.training.training_data import prepare_data
from tests.support.backtest_setup import CONFIG, SETTINGS, make_file, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two stage models and a champion, which its gate judged before any of them was traded."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        save_model(model_path("A", f"stage_{seed}_ppo", tmp_path / "checkpoints"), make_file(f"stage_{seed}_ppo", seed))
    champion = replace(make_file("autonomous_final"), dossier={"run": "A_0123456789ab"})
    save_model(model_path("A", "autonomous_final", tmp_path / "checkpoints"), champion)
    data = prepare_data(CONFIG)
    with open_trials(RunConfig()) as log:
        log.look(stretch_of(data.bars, data.splits.test, CONFIG.data.source), "A_0123456789ab", "gate")
    return tmp_path


def look_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, out, err = run(capsys, "--symbol", "A", *arguments)
    assert code == 0, err
    return " ".join(line.split(":")[0] for line in out.splitlines() if line.startswith("look "))


def test_each_model_that_is_traded_on_sealed_bars_is_a_look_and_none_is_two(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look_of(capsys) == "look 1 at these sealed bars"  # the champion, as its gate looked
    assert look_of(capsys, "--model", "stage_1_ppo") == "look 2 at these sealed bars"
    assert look_of(capsys, "--model", "stage_2_ppo", "--split", "all") == "look 3 at these sealed bars"
    assert look_of(capsys, "--model", "stage_1_ppo") == "look 2 at these sealed bars"
    summary = json.loads((folder / "reports/A_stage_1_ppo_test/summary.json").read_text())
    assert summary["description"]["look"] == 2
    assert look_of(capsys, "--compare", "stage_1_ppo", "stage_2_ppo", "flat") == "look 3 at these sealed bars"


def test_neither_baselines_nor_other_splits_are_looks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert look_of(capsys, "--model", "stage_1_ppo", "--split", "validation") == ""
    assert look_of(capsys, "--model", "buy_and_hold", *SETTINGS[1:]) == ""
    assert look_of(capsys, "--model", "stage_2_ppo") == "look 2 at these sealed bars"


def test_how_many_were_judged_before_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for name in ("autonomous_final", "stage_1_ppo", "stage_2_ppo"):
        _, out, _ = run(capsys, "--symbol", "A", "--model", name)
        said += [line for line in out.splitlines() if line.startswith("look ")]
    assert "nothing else was judged on them so far" in said[0]
    assert "another model or run was judged on them before" in said[1]
    assert "2 other models or runs were judged on them before" in said[2]


def test_looks_are_counted_in_the_database_that_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = f"run.database=sqlite:///{folder / 'elsewhere.db'}"
    assert look_of(capsys, "--model", "stage_1_ppo", elsewhere) == "look 1 at these sealed bars"
    assert look_of(capsys, "--model", "stage_2_ppo", elsewhere) == "look 2 at these sealed bars"
    assert look_of(capsys, "--model", "stage_2_ppo") == "look 2 at these sealed bars"  # beside the gate's
