"""`run_backtest.py` from the command line: which model, which bars, what it writes, and what it refuses."""

import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run_backtest
from src.agents.model_file import load_model, model_path, save_model
from src.agents.registry import agent_from_file
from src.backtesting import engine
from src.config.load import load_training_config
from src.features.base import Feature
from src.reporting.steps_file import read_steps
from src.training.training_data import prepare_data
from tests.support.backtest_setup import CONFIG, SETTINGS, make_file, make_mixture, run, write_csv
from tests.support.plugin_modules import feature_module, write_plugin

ROOT = Path(run_backtest.__file__).parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one stage model."""
    monkeypatch.chdir(tmp_path)
    save_model(model_path("A", "stage_1_ppo", tmp_path / "checkpoints"), make_file("stage_1_ppo"))
    return tmp_path


def first_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, out, err = run(capsys, *arguments)
    assert code == 0, err
    return out.splitlines()[0]


def test_a_stage_model_trades_the_rows_its_training_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = first_line(capsys, "--symbol", "A", "--json", "out/summary.json")
    assert head.startswith("newest stage model checkpoints/A_stage_1_ppo.pth, test split of A: ")
    report = folder / "reports" / "A_stage_1_ppo_test"
    assert sorted(path.name for path in report.iterdir()) == [
        "report.html",
        "steps.parquet",
        "summary.json",
        "trades.csv",
    ]
    assert [path.name for path in (folder / "reports").iterdir()] == [report.name]  # no draft is left
    assert json.loads((folder / "out/summary.json").read_text()) == json.loads((report / "summary.json").read_text())
    data = prepare_data(CONFIG)
    agent = agent_from_file(load_model(folder / "checkpoints/A_stage_1_ppo.pth"))
    expected = engine.run_backtest(agent, data.bars, data.rules, data.splits.test).records
    steps = read_steps(report / "steps.parquet")
    for name, column in expected._asdict().items():
        np.testing.assert_array_equal(getattr(steps, name), column, err_msg=name)
    assert np.count_nonzero(steps.fill_units) > 5


def test_a_mixture_is_found_by_its_algorithm_and_its_report_shows_the_gate(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_mixture(experts=2)
    file = replace(make_file("stage_2_moe"), kind="moe", model=model.describe(), weights=model.state_dict())
    save_model(model_path("A", "stage_2_moe", folder / "checkpoints"), file)
    for name in ("moe", "stage_2_moe"):
        head = first_line(capsys, "--symbol", "A", "--model", name)
        assert head.startswith("comparison checkpoints/A_stage_2_moe.pth")
    page = (folder / "reports/A_stage_2_moe_test/report.html").read_text()
    assert '<section id="gates" class="wide">' in page
    assert "expert 1" in page


def test_the_champion_is_used_alone_and_others_only_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    champion = model_path("A", "autonomous_final", folder / "checkpoints")
    save_model(champion, make_file("autonomous_final", seed=1))
    assert first_line(capsys, "--symbol", "A").startswith("champion checkpoints/A_autonomous_final.pth")
    for name in ("stage_1_ppo", "checkpoints/A_stage_1_ppo.pth"):
        head = first_line(capsys, "--symbol", "a", "--model", name)
        assert head.startswith("comparison checkpoints/A_stage_1_ppo.pth")
    note = json.loads((folder / "reports/A_stage_1_ppo_test/summary.json").read_text())["description"]["note"]
    assert "not the champion" in note
    champion.write_bytes(champion.read_bytes()[:-1])
    code, out, err = run(capsys, "--symbol", "A")
    assert (code, out) == (2, "")
    assert "A_autonomous_final.pth is damaged" in err


def test_bars_the_model_learned_from_are_pointed_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--symbol", "A", "--split", "train")
    data = prepare_data(CONFIG)
    count = len(data.splits.train)
    assert f"{count} of {count} bars lie in the period the model was trained on" in out
    _, out, _ = run(capsys, "--symbol", "A")
    assert "trained on" not in out


def test_bars_before_the_training_are_the_future_s_knowledge_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(folder / "older.csv", since_ms=-900 * 3_600_000)  # all of it before the market that was learned
    _, out, _ = run(capsys, "--symbol", "A", "--data", str(path), "--split", "all", "--report", "out")
    said = re.search(r"Careful: (\d+) of (\d+) bars lie before the period the model was trained on: it knows what", out)
    assert said is not None
    assert said[1] == said[2] != "0"
    assert said[0].removeprefix("Careful: ") in (folder / "out/report.html").read_text()
    _, out, _ = run(capsys, "--symbol", "A", "--compare", "ppo", "flat", "--data", str(path), "--report", "both")
    assert "lie before the period the model was trained on" in out


def test_a_split_of_shares_among_the_bars_stands_in_console_report_and_comparison(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = pd.read_csv(write_csv(folder / "split.csv", every_ms=24))
    later = bars.index >= 850  # in the test part
    for column in ("open", "high", "low", "close"):
        bars.loc[later, column] /= 2
    bars.loc[later, "volume"] *= 2
    bars.to_csv(folder / "split.csv", index=False)
    day = str(pd.Timestamp(bars.open_time[850], unit="ms").date())
    careful = rf"Careful: the price .*{day}.*: a profit or loss that nobody made, unless prices are adjusted\."
    what = ["--symbol", "A", "--data", "split.csv", "--report", "out"]
    _, out, _ = run(capsys, *what, "--model", "flat")
    assert re.search(careful, out)
    assert "a profit or loss that nobody made" in (folder / "out/report.html").read_text()
    _, out, _ = run(capsys, *what, "--compare", "flat", "ma_cross")
    assert out.count("a profit or loss that nobody made") == 1
    _, out, _ = run(capsys, *what, "--model", "flat", "--split", "train")
    assert "nobody made" not in out


def test_other_data_is_split_by_the_same_fractions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(folder / "other.csv", bars=600)
    head = first_line(capsys, "--symbol", "A", "--data", str(path))
    warmup = agent_from_file(make_file("stage_1_ppo")).warmup_bars
    usable = 600 - warmup - 2 * 5
    test = usable - round(0.6 * usable) - round(0.2 * usable)
    assert f"{test} bars" in head


@pytest.mark.parametrize("name", ["flat", "buy_and_hold", "ma_cross", "rsi_reversion", "random"])
def test_baselines_need_no_model(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    head = first_line(capsys, "--symbol", "A", "--model", name, "--report", "out", *SETTINGS[1:])
    assert head.startswith(f"baseline {name}, test split of A: ")
    assert (folder / "out/report.html").is_file()
    # The same rows as a model of these settings.
    data = prepare_data(CONFIG)
    times = read_steps(folder / "out/steps.parquet").close_time
    np.testing.assert_array_equal(times, data.bars.close_time[data.splits.test.start : data.splits.test.stop])


def test_a_baseline_needs_its_own_warm_up_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(folder / "few.csv", bars=120)

    def traded(*names: str) -> pd.Index:
        how = ["--compare", *names] if len(names) > 1 else ["--model", *names]
        out = "out_" + "_".join(names)
        code, _, err = run(capsys, "--symbol", "A", *how, "--data", "few.csv", "--split", "all", "--report", out)
        assert code == 0, err
        found = json.loads(next((folder / out).glob("[cs]*.json")).read_text())
        return found.get("bars") or len(read_steps(folder / out / "steps.parquet").close_time)

    assert [traded("buy_and_hold"), traded("rsi_reversion"), traded("ma_cross")] == [120, 120 - 14, 120 - 50]
    assert traded("buy_and_hold", "ma_cross", "rsi_reversion") == 120 - 50  # what all of them can trade
    code, _, err = run(capsys, "--symbol", "A", "--compare", "flat", "ppo", "--data", "few.csv")
    assert code == 2  # a model is there, and needs its own
    assert "warm-up" in err


def test_a_model_can_be_charged_other_costs_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def costs(*options: str) -> tuple[dict, str]:
        code, out, err = run(capsys, "--symbol", "A", "--report", "out", *options)
        assert code == 0, err
        return json.loads((folder / "out/summary.json").read_text()), out

    usual, _ = costs()
    same, _ = costs("--costs", "commission_bps=2")  # as trained
    dear, said = costs("--costs", "commission_bps=20", "half_spread_bps=0")
    label = "A stage_1_ppo at commission_bps=20, half_spread_bps=0"
    assert same["performance"] == usual["performance"]
    assert dear["description"]["model"] == label
    assert label in said
    assert label in (folder / "out/report.html").read_text()
    paid = dear["performance"]["costs"]
    assert paid["spread"] == 0.0
    traded = sum(paid.values()) * 1e4 / dear["performance"]["cost_bps"]
    assert paid["commission"] == pytest.approx(traded * 20e-4)
    assert {**dear["description"]["costs"], "commission_bps": 2.0, "half_spread_bps": 1.0} == usual["description"][
        "costs"
    ]
    _, out, _ = run(capsys, "--symbol", "A", "--compare", "ppo", "flat", "--costs", "commission_bps=20")
    assert "ppo at commission_bps=20" in out
    page = next((folder / "reports").glob("A_comparison*/comparison.html")).read_text()
    assert "flat at commission_bps=20" in page


def test_a_file_is_read_as_those_of_the_training_and_as_the_command_line_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = pd.read_csv(write_csv(folder / "plain.csv"))
    odd = bars.rename(columns={"close": "letzter"})
    odd.loc[700, "letzter"] = np.nan
    odd.to_csv(folder / "odd.csv", index=False)
    named, dropping = {"close": "letzter"}, {"drop_defective": True}
    files = {"source": "files", "path": "odd.csv"}

    def bars_of(saved: dict, *given: str) -> tuple[int, str]:
        file = make_file("stage_1_ppo")
        data = file.config["data"] | files | saved
        save_model(
            model_path("A", "stage_1_ppo", folder / "checkpoints"), replace(file, config=file.config | {"data": data})
        )
        code, out, err = run(capsys, "--symbol", "A", "--data", "odd.csv", "--split", "all", *given)
        return code, out.splitlines()[0] if code == 0 else err

    code, as_trained = bars_of(dropping | {"columns": named})
    assert code == 0, as_trained
    assert bars_of(dropping, "data.columns={close: letzter}") == (0, as_trained)
    assert bars_of({}, "data.columns={close: letzter}", "data.drop_defective=true") == (0, as_trained)
    assert bars_of({"columns": named})[0] == 2
    code, err = bars_of(dropping, "data.colums={close: letzter}")
    assert (code, "data.columns" in err) == (2, True)


def test_a_file_s_times_are_of_the_zone_the_model_was_trained_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = pd.read_csv(write_csv(folder / "local.csv"))
    bars["open_time"] = pd.to_datetime(bars.open_time, unit="ms").dt.strftime("%Y-%m-%d %H:%M:%S")
    bars.to_csv(folder / "local.csv", index=False)

    def first_close(zone: str | None, *given: str) -> int:
        file = make_file("stage_1_ppo")
        data = file.config["data"] | {"source": "files", "path": "local.csv", "timezone": zone}
        saved = replace(file, config=file.config | {"data": data})
        save_model(model_path("A", "stage_1_ppo", folder / "checkpoints"), saved)
        code, _, err = run(capsys, "--symbol", "A", "--data", "local.csv", "--report", "out", *given)
        assert code == 0, err
        return int(read_steps(folder / "out/steps.parquet").close_time[0])

    east_of_utc_ms = 9 * 3_600_000
    assert first_close("UTC") - first_close("Asia/Tokyo") == east_of_utc_ms
    assert first_close("UTC", "data.timezone=Asia/Tokyo") == first_close("Asia/Tokyo")


def test_costs_can_be_overridden_for_baselines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def commission(*overrides: str) -> float:
        assert run(capsys, "--symbol", "A", "--model", "random", "--report", "out", *SETTINGS[1:], *overrides)[0] == 0
        return json.loads((folder / "out/summary.json").read_text())["performance"]["costs"]["commission"]

    cheap, dear = commission("costs.commission_bps=1"), commission("costs.commission_bps=10")
    assert dear == pytest.approx(10 * cheap, rel=0.05)


LOOSE = "max_position: 1e12\nmax_daily_loss_frac: null\nmax_drawdown_frac: null\nmax_orders_per_hour: 9\n"


def test_a_risk_file_binds_every_decision_and_says_what_it_did(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "risk.yaml").write_text(LOOSE + "max_leverage: 0.5\ncool_down_bars: 10\n")
    _, out, _ = run(capsys, "--symbol", "A", "--risk", "risk.yaml", "--report", "out")
    said = re.search(r"Stations changed (\d+) of (\d+) decisions: (.*)\.\n", out)
    assert said is not None
    steps = pd.read_parquet(folder / "out/steps.parquet")
    assert (int(said[1]), int(said[2])) == ((steps.reason != "").sum(), len(steps))
    assert sorted(name.rsplit(" ", 1)[0] for name in said[3].split(", ")) == ["caps", "decision filter"]
    assert steps.target.abs().max() == 0.5
    assert steps.wanted.abs().max() == 1.0
    assert ((steps.wanted != steps.target) == (steps.reason != "")).all()
    changes = np.flatnonzero(np.diff(steps.target) != 0)
    to_flat = steps.target.to_numpy()[changes + 1] == 0
    assert (np.diff(changes)[~to_flat[1:]] >= 10).all()
    page = (folder / "out/report.html").read_text()
    assert said[0].strip() in page
    assert "max_leverage=0.5" in page


def test_a_risk_file_that_does_not_bite_changes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "risk.yaml").write_text(LOOSE)
    _, out, _ = run(capsys, "--symbol", "A", "--risk", "risk.yaml", "--report", "out")
    assert "Stations changed none of" in out
    assert run(capsys, "--symbol", "A", "--report", "free")[0] == 0
    pair = [read_steps(folder / name / "steps.parquet") for name in ("out", "free")]
    for name, column in pair[0]._asdict().items():
        np.testing.assert_array_equal(column, getattr(pair[1], name), err_msg=name)


def test_protective_stops_are_counted_where_they_are_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "risk.yaml").write_text(LOOSE.replace("max_drawdown_frac: null", "max_drawdown_frac: 0.004"))
    with_stop = ["--symbol", "A", "--model", "random", "--risk", "risk.yaml", "--protective-stop", "--report", "out"]
    _, out, _ = run(capsys, *with_stop, *SETTINGS[1:])
    filled = pd.read_parquet(folder / "out/steps.parquet").call_units != 0
    times = {0: "never", 1: "once"}.get(filled.sum(), f"{filled.sum()} times")
    sentence = f"The protective stop, at 2 times the wider loss limit, filled {times}."
    assert sentence in out
    assert sentence in (folder / "out/report.html").read_text()
    assert json.loads((folder / "out/summary.json").read_text())["stop_fills"] == filled.sum() > 0
    assert (folder / "out/trades.csv").read_text().count("protective stop") == filled.sum()


def test_a_second_run_replaces_the_report_and_spares_other_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").mkdir()
    (folder / "out/mine.txt").write_text("keep")
    for _ in range(2):
        assert run(capsys, "--symbol", "A", "--report", "out")[0] == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "mine.txt",
        "report.html",
        "steps.parquet",
        "summary.json",
        "trades.csv",
    ]


@pytest.mark.parametrize("name", ["ppo", "buy_and_hold", "ma_cross"])
def test_a_model_that_sees_no_future_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    settings = SETTINGS[1:] if name != "ppo" else []
    code, out, err = run(capsys, "--symbol", "A", "--model", name, "--check-lookahead", *settings)
    assert code == 0, err
    checked = ["ok  feature 'returns'", "ok  feature 'volatility'"] if name == "ppo" else []
    assert out.splitlines()[1:] == [*checked, "ok  decisions", "no look-ahead found"]
    assert not (folder / "reports").exists()


def test_a_feature_that_sees_the_future_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    centred = "__import__('pandas').Series(bars.close).rolling(5, min_periods=1, center=True).mean()"
    module = write_plugin(folder, monkeypatch, "leak", feature_module(centred))
    leaky = load_training_config([*SETTINGS, f"plugins=[{module}]", "features.names=[returns,mine]"])
    with monkeypatch.context() as unchecked:
        unchecked.setattr(Feature, "check", lambda *_: None)
        file = make_file("autonomous_final", config=leaky)
    save_model(model_path("A", "autonomous_final", folder / "checkpoints"), file)
    code, out, _ = run(capsys, "--symbol", "A", "--check-lookahead")
    assert code == 1
    _head, own, mine, decisions, last = out.splitlines()
    assert own == "ok  feature 'returns'"
    assert re.match(r"NO  feature 'mine' looks ahead: row \d+ \(.* UTC\) comes out otherwise once the bars from", mine)
    assert decisions.startswith("NO  A_autonomous_final looks ahead: what it makes of row")
    assert last.startswith("look-ahead found")


BAD = {
    "no symbol": ([], "--symbol"),
    "unknown split": (["--symbol", "A", "--split", "tset"], "tset"),
    "unknown model": (["--symbol", "A", "--model", "stage_1_pp0"], "stage_1_ppo"),
    "misspelt baseline": (["--symbol", "A", "--model", "buy_and_hodl"], "buy_and_hold"),
    "no model of the symbol": (["--symbol", "B"], "no model of B"),
    "missing file": (["--symbol", "A", "--model", "nowhere.pth"], "nowhere.pth does not exist"),
    "model of another symbol": (["--symbol", "B", "--model", "checkpoints/A_stage_1_ppo.pth"], "trained for A, not B"),
    "empty file": (["--symbol", "A", "--model", "empty.pth"], "empty.pth is empty"),
    "garbage": (["--symbol", "A", "--model", "garbage.pth"], "garbage.pth is not a model file"),
    "overrides with a model": (["--symbol", "A", "costs.commission_bps=1"], "costs.commission_bps=1"),
    "unknown setting": (["--symbol", "A", "--model", "flat", "costs.comission_bps=1"], "commission_bps"),
    "missing data": (["--symbol", "A", "--data", "nowhere.csv"], "nowhere.csv"),
    "data of another timeframe": (["--symbol", "A", "--data", "daily.csv"], "1h bars, not 1d"),
    "too little data": (["--symbol", "A", "--data", "short.csv"], "bars"),
    "too little data for a baseline": (
        ["--symbol", "A", "--model", "ma_cross", "--data", "tiny.csv"],
        "50 bars of warm-up",
    ),
    "unknown cost": (["--symbol", "A", "--costs", "spread_bps=1"], "did you mean 'half_spread_bps'?"),
    "cost that is no number": (["--symbol", "A", "--costs", "impact=high"], "impact must be a number, was 'high'"),
    "impossible cost": (["--symbol", "A", "--costs", "impact=-1"], "costs.impact must lie in [0, 100], was -1"),
    "where a file would lie": (
        ["--symbol", "A", "--data", "short.csv", "data.path=a.csv"],
        "leave out 'data.path=a.csv'",
    ),
    "report is a file": (["--symbol", "A", "--report", "empty.pth"], "not a folder"),
    "json is a folder": (["--symbol", "A", "--json", "checkpoints"], "is a folder"),
    "report cannot be made": (["--symbol", "A", "--report", "empty.pth/below"], "cannot be written"),
    "unknown limit": (["--symbol", "A", "--risk", "levrage.yaml"], "did you mean 'max_leverage'"),
    "impossible limit": (["--symbol", "A", "--risk", "loss.yaml"], "loss.yaml: max_daily_loss_frac must lie in (0, 1]"),
    "missing risk file": (["--symbol", "A", "--risk", "lss.yaml"], "lss.yaml does not exist; did you mean 'loss'"),
    "stop without a loss limit": (["--symbol", "A", "--protective-stop"], "with --risk, such as config/risk.yaml"),
    "stop that is off": (
        ["--symbol", "A", "--risk", "no_stop.yaml", "--protective-stop"],
        "--protective-stop: no_stop.yaml switches it off; set protective_stop in it, 2 for example",
    ),
    "look-ahead of several": (["--symbol", "A", "--compare", "flat", "random", "--check-lookahead"], "with --model"),
    "symbol without letters": (["--symbol", "//"], "letter"),
}


@pytest.mark.parametrize(("arguments", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    (folder / "empty.pth").touch()
    (folder / "garbage.pth").write_bytes(b"\x80garbage")
    write_csv(folder / "short.csv", bars=100)
    write_csv(folder / "tiny.csv", bars=100, rows=45)
    write_csv(folder / "daily.csv", bars=400, every_ms=24)
    (folder / "levrage.yaml").write_text("max_levrage: 1")
    (folder / "loss.yaml").write_text("max_daily_loss_frac: 5")
    (folder / "no_stop.yaml").write_text("protective_stop: null")
    before = sorted(folder.rglob("*"))
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert sorted(folder.rglob("*")) == before


def test_a_failure_while_writing_leaves_no_report(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("src.reporting.report.render_page", full)
    code, _, err = run(capsys, "--symbol", "A", "--report", "out")
    assert code == 2
    assert "No space left" in err
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    look = {"runs/trials.db"}  # is counted before anything is shown
    assert left == {"checkpoints/A_stage_1_ppo.pth", *look}


def test_help_names_the_baselines_of_plug_ins(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "from src.agents.baselines import Baseline, flat\nMINE = Baseline('idle', flat)\n"
    module = write_plugin(folder, monkeypatch, "mine", text)
    (folder / "mine.yaml").write_text(f"plugins: [{module}]\n")
    for arguments in ([f"plugins=[{module}]"], ["--config", "mine.yaml"]):
        with pytest.raises(SystemExit):
            run_backtest.main([*arguments, "--help"])
        assert capsys.readouterr().out.endswith("ma_cross, rsi_reversion, random, idle\n")
    with pytest.raises(SystemExit):
        run_backtest.main(["--help", "plugins=[no_such_thing]"])
    assert "random, and those of plug-ins (plugins: no module 'no_such_thing'" in capsys.readouterr().out


def test_help_loads_nothing_heavy_and_trading_needs_no_trainer() -> None:
    script = """
import contextlib, sys
import run_backtest
with contextlib.suppress(SystemExit):
    run_backtest.main(["--help"])
heavy = {"numpy", "pandas", "torch", "hydra", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
import src.commands.compare
assert "torch" not in sys.modules, "baselines do without"
import src.commands.model_job
trainer = {"gymnasium", "ray"} & set(sys.modules)
assert not trainer, trainer
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env={**os.environ}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--symbol" in done.stdout


def test_reports_of_something_else_are_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def reported(*options: str) -> tuple[str, dict]:
        code, out, err = run(capsys, "--symbol", "A", *options)
        assert code == 0, err
        return out, json.loads((folder / "reports/A_stage_1_ppo_test/summary.json").read_text())

    _, first = reported()
    out, again = reported()  # the same model, bars and settings: the same report
    assert again == first
    assert "something else" not in out
    (folder / "reports/A_stage_1_ppo_test/mine.txt").write_text("keep")
    save_model(model_path("A", "stage_1_ppo", folder / "checkpoints"), make_file("stage_1_ppo", seed=1))
    out, second = reported()
    said = re.search(
        r"the report of something else that was there: (reports/A_stage_1_ppo_test_\w{8})/report.html", out
    )
    assert said is not None
    assert second["description"]["model_sha256"] != first["description"]["model_sha256"]
    assert json.loads((folder / said[1] / "summary.json").read_text()) == first
    assert (folder / said[1] / "mine.txt").read_text() == "keep"
    for seed in (0, 1, 0, 1):
        save_model(model_path("A", "stage_1_ppo", folder / "checkpoints"), make_file("stage_1_ppo", seed))
        reported()
    assert len(list((folder / "reports").iterdir())) == 3  # the newest, and one of each model


def test_what_there_is_to_test_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--symbol", "A")[0] == 0
    (folder / "data/binance/BTCUSDT_1h").mkdir(parents=True)
    (folder / "data/binance/BTCUSDT_1h/coverage.json").write_text('{"symbol": "BTC/USDT", "timeframe": "1h"}')
    (folder / "data/gold.csv").touch()
    code, out, _ = run(capsys, "list")
    assert code == 0
    for part in (
        "A_stage_1_ppo.pth",
        "A_stage_1_ppo_test",
        "ma_cross",
        "NASDAQ",
        "BTC/USDT 1h (binance)",
        "data/gold.csv",
    ):
        assert part in out
    _, out, _ = run(capsys, "list", "--symbol", "B")
    assert "A_stage_1_ppo.pth" not in out


@pytest.mark.parametrize("program", ["run_backtest", "run_live_bot", "run_training"])
def test_a_program_says_its_version(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(program).main(["--version"])
    assert ended.value.code == 0
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith(f"supertrader {importlib.metadata.version('supertrader')}")
    assert second.startswith(f"Python {platform.python_version()}, ")
    assert f"torch {importlib.metadata.version('torch')}, " in third


WRONG_NAMES = {
    "model": (["--symbol", "A", "--model", "stage_1_pp0"], "did you mean stage_1_ppo"),
    "baseline": (["--symbol", "A", "--compare", "ppo", "buy_and_hodl"], "did you mean buy_and_hold"),
    "symbol": (["--symbol", "B"], "no model of B in checkpoints/"),
    "symbol of a baseline": (["--symbol", "SP50", "--model", "flat"], "did you mean 'SP500'"),
    "file": (["--symbol", "A", "--model", "nowhere.pth"], "nowhere.pth does not exist"),
    "feature": (["--symbol", "A", "--model", "flat", "features.names=[returnz]"], "did you mean 'returns'"),
    "split": (["--symbol", "A", "--split", "tset"], "invalid choice: 'tset'"),
    "cost": (["--symbol", "A", "--costs", "comission_bps=1"], "did you mean 'commission_bps'"),
    "setting": (["--symbol", "A", "--model", "flat", "costs.comission_bps=1"], "did you mean 'costs.commission_bps'"),
}


@pytest.mark.parametrize(("arguments", "hint"), WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_wrong_names_are_refused_before_anything_heavy_is_loaded(folder: Path, arguments: list[str], hint: str) -> None:
    script = """
import sys
import run_backtest
code = run_backtest.main(sys.argv[1:])
heavy = {"torch", "ray", "matplotlib", "scipy.signal", "arch"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert hint in done.stderr


def test_the_script_runs_from_a_shell(folder: Path) -> None:
    command = [sys.executable, str(ROOT / "run_backtest.py"), "--symbol", "A", "--split", "validation"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Sharpe" in done.stdout
    assert (folder / "reports/A_stage_1_ppo_validation/report.html").is_file()


def test_a_terminated_backtest_ends_in_a_word_and_leaves_no_report(folder: Path) -> None:
    command = [sys.executable, str(ROOT / "run_backtest.py"), "--symbol", "A", "--progress"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().endswith("loading libraries\n")
        process.terminate()
        said = process.stderr.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1] == "interrupted"
    assert "Traceback" not in said
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints"]


def test_a_full_disk_is_one_sentence_and_leaves_no_report(folder: Path) -> None:
    script = """
import resource, sys
import run_backtest
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sys.exit(run_backtest.main(["--symbol", "A", "--split", "validation"]))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: the report cannot be written to reports/A_stage_1_ppo_validation \(.*File too large.*\); name "
        r"another with --report\n",
        done.stderr,
    )
    assert not list((folder / "reports").iterdir())


def test_output_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    command = [sys.executable, str(ROOT / "run_backtest.py"), "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
