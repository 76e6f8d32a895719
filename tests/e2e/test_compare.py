"""`run_backtest.py --compare`: the same rows for all, each model as in its own report, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.agents.baselines import make_baseline
from src.agents.model_file import model_path, save_model
from src.backtesting import engine
from src.config.load import load_training_config
from src.training.training_data import prepare_data
from tests.support.backtest_setup import CONFIG, SETTINGS, make_file, run, write_csv

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one stage model."""
    monkeypatch.chdir(tmp_path)
    save_model(model_path("A", "stage_1_ppo", tmp_path / "checkpoints"), make_file("stage_1_ppo"))
    return tmp_path


def compared(capsys: Capture, folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """What comparison.json holds, and standard output."""
    code, out, err = run(capsys, "--symbol", "A", "--report", "out", "--compare", *arguments)
    assert (code, err) == (0, "")
    return json.loads((folder / "out/comparison.json").read_text()), out


def test_models_and_baselines_stand_side_by_side(folder: Path, capsys: Capture) -> None:
    code, out, err = run(capsys, "--symbol", "A", "--compare", "stage_1_ppo", "random", "flat", "--json", "c.json")
    assert (code, err) == (0, "")
    data = prepare_data(CONFIG)
    assert out.startswith(f"3 models, test split of A: {len(data.splits.test)} bars, ")
    assert sorted(path.name for path in (folder / "reports").iterdir()) == ["A_comparison_test"]
    report = folder / "reports/A_comparison_test"
    assert sorted(path.name for path in report.iterdir()) == ["comparison.html", "comparison.json"]
    assert (folder / "c.json").read_text() == (report / "comparison.json").read_text()

    found = json.loads((folder / "c.json").read_text())
    assert (found["bars"], found["remarks"]) == (len(data.splits.test), [])
    assert [model["description"]["model"] for model in found["models"]] == ["stage_1_ppo", "random", "flat"]
    policy, random, flat = found["models"]
    assert policy["less_the_first"] is None
    # An account at rest: less the first, its mean return is the first's, turned.
    idle = flat["less_the_first"]["mean_return_per_year"]
    assert flat["performance"]["total_return"] == 0
    assert -idle["estimate"] == pytest.approx(
        policy["performance"]["sharpe"] * policy["performance"]["annual_volatility"], rel=1e-9
    )
    for less in (random["less_the_first"], flat["less_the_first"]):
        for name in ("mean_return_per_year", "sharpe"):
            assert less[name]["includes_zero"] == (less[name]["low"] <= 0 <= less[name]["high"])
        assert less["verdict"] in out
    # The baseline pays what the model pays.
    lived = engine.run_backtest(
        make_baseline("random", data.rules, seed=CONFIG.seed), data.bars, data.rules, data.splits.test
    )
    assert random["performance"]["final_equity"] == pytest.approx(float(lived.records.equity[-1]))

    # The model's own figures are those of its report.
    assert run(capsys, "--symbol", "A", "--model", "stage_1_ppo", "--json", "one.json")[0] == 0
    one = json.loads((folder / "one.json").read_text())
    assert policy["performance"] == one["performance"]
    assert policy["sharpe_interval"] == one["sharpe_interval"]


def test_seeds_are_named_by_their_files(folder: Path, capsys: Capture) -> None:
    save_model(folder / "seed=1.pth", make_file("stage_1_ppo", seed=1))
    save_model(folder / "copy.pth", make_file("stage_1_ppo"))
    found, out = compared(capsys, folder, "stage_1_ppo", "seed=1.pth", "copy.pth")
    other, same = (model["less_the_first"] for model in found["models"][1:])
    assert [same[name][end] for name in ("mean_return_per_year", "sharpe") for end in ("low", "high")] == [0.0] * 4
    assert other["sharpe"]["low"] < other["sharpe"]["estimate"] < other["sharpe"]["high"]
    assert "Careful: stage_1_ppo and copy.pth are one model." in out


def test_baselines_alone_trade_under_settings_named_before_or_after(folder: Path, capsys: Capture) -> None:
    settings = [*SETTINGS[1:], "costs.commission_bps=7"]
    found, _ = compared(capsys, folder, "flat", "buy_and_hold", *settings)
    assert [model["description"]["costs"]["commission_bps"] for model in found["models"]] == [7, 7]
    code, _, _ = run(capsys, *settings, "--symbol", "A", "--report", "before", "--compare", "flat", "buy_and_hold")
    assert code == 0
    assert (folder / "before/comparison.json").read_text() == (folder / "out/comparison.json").read_text()


def test_a_risk_file_binds_all_alike(folder: Path, capsys: Capture) -> None:
    (folder / "risk.yaml").write_text("max_leverage: 0.5\nmax_position: 1e12\nmax_drawdown_frac: null\n")
    found, out = compared(capsys, folder, "buy_and_hold", "flat", *SETTINGS[1:], "--risk", "risk.yaml")
    held, idle = (model["stations"] for model in found["models"])
    assert held["by_station"]["caps"] == held["changed"] == held["decisions"] == found["bars"]
    assert (idle["changed"], idle["by_station"]) == (0, {})
    assert f"buy_and_hold: Stations changed {found['bars']} of {found['bars']} decisions: caps {found['bars']}" in out
    assert "flat: Stations changed none of" in (folder / "out/comparison.html").read_text()
    assert [model["description"]["limits"]["max_leverage"] for model in found["models"]] == [0.5, 0.5]


def test_what_keeps_a_comparison_from_being_fair_is_said(folder: Path, capsys: Capture) -> None:
    other = load_training_config([*SETTINGS, "model.core.window=48", "costs.commission_bps=50"])
    save_model(model_path("A", "wide", folder / "checkpoints"), make_file("wide", config=other))
    found, out = compared(capsys, folder, "stage_1_ppo", "wide", "--split", "train")
    narrow_rows, wide_rows = prepare_data(CONFIG).splits.train, prepare_data(other).splits.train
    shared = set(narrow_rows) & set(wide_rows)
    assert 0 < len(shared) == found["bars"] < len(narrow_rows)
    assert found["remarks"] == [
        f"stage_1_ppo: {found['bars']} of {found['bars']} bars lie in the period the model was trained on",
        f"wide: {found['bars']} of {found['bars']} bars lie in the period the model was trained on",
        "other costs than those of stage_1_ppo are charged to wide, as in their training",
        f"the train splits differ; compared are the {found['bars']} bars they share",
    ]
    assert all(f"Careful: {remark}." in out for remark in found["remarks"])


BAD = {
    "one name": (["flat"], "at least two names, was flat"),
    "a name twice": (["flat", "random", "flat"], "names flat 2 times"),
    "no name": ([], "--compare"),
    "beside --model": (["flat", "random", "--model", "flat"], "not allowed with"),
    "unknown": (["flat", "stage_1_pp0"], "did you mean stage_1_ppo"),
    "settings with a model": (["flat", "stage_1_ppo", "costs.commission_bps=1"], "leave out 'costs.commission_bps=1'"),
    "damaged": (["stage_1_ppo", "damaged.pth"], "damaged.pth is damaged"),
    "other bars": (["stage_1_ppo", "other.pth"], "stage_1_ppo and other.pth were made for different bars"),
    "too few bars": (["flat", "random", *SETTINGS[1:], "data.synthetic.bars=230"], "bars are too few to tell"),
    "report is a file": (["flat", "random", *SETTINGS[1:], "--report", "damaged.pth"], "not a folder"),
}


@pytest.mark.parametrize(("arguments", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    folder: Path, capsys: Capture, arguments: list[str], named: str
) -> None:
    (folder / "damaged.pth").write_bytes((folder / "checkpoints/A_stage_1_ppo.pth").read_bytes()[:-1])
    save_model(folder / "other.pth", make_file("stage_1_ppo", config=replace(CONFIG, seed=CONFIG.seed + 1)))
    before = sorted(folder.rglob("*"))
    code, out, err = run(capsys, "--symbol", "A", "--compare", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert sorted(folder.rglob("*")) == before


def test_models_of_different_bars_compare_on_bars_named_for_all(folder: Path, capsys: Capture) -> None:
    save_model(folder / "other.pth", make_file("stage_1_ppo", config=replace(CONFIG, seed=CONFIG.seed + 1)))
    path = write_csv(folder / "new.csv", bars=600)
    found, _ = compared(capsys, folder, "stage_1_ppo", "other.pth", "buy_and_hold", "--data", str(path))
    assert found["remarks"] == []
    assert len({model["description"]["data_fingerprint"] for model in found["models"]}) == 1
