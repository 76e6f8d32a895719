"""Tables of what there is."""

from dataclasses import replace
from pathlib import Path

import pytest

import supertrader as st
from src.agents.model_file import model_path, save_model
from src.config.load import load_training_config, save_resolved
from src.runs.run_folder import CONFIG_FILE, StageFolder, StageResult
from tests.support.model_files import EXAMPLE

BARS = st.load_bars("SP500", start="2012-01-01", end="2016-01-01")


def test_baselines_are_those_a_backtest_takes() -> None:
    names = st.list_baselines()
    assert "buy_and_hold" in names
    assert list(st.compare(names, BARS).backtests) == names


def test_baselines_of_a_plug_in_are_listed_and_traded() -> None:
    plugins = ["examples.my_baseline"]
    (name,) = set(st.list_baselines(plugins)) - set(st.list_baselines())
    assert st.backtest(name, BARS, settings={"plugins": plugins}).name == name


def test_runs_are_listed_with_what_they_reached_and_what_is_wrong(tmp_path: Path) -> None:
    run = tmp_path / "BTCUSDT_0123456789ab"
    save_resolved(load_training_config(["symbol=BTC/USDT", "seed=4"]), run / CONFIG_FILE)
    stage = StageFolder(run / "stage_1_ppo")
    save_model(stage.model, EXAMPLE)
    stage.complete(StageResult(Path("x.pth"), 120, 12, 40_960, 6.5, {"sharpe": 0.75, "total_return": 0.125}))
    (tmp_path / "broken").mkdir()
    good, broken = (row for _, row in st.list_runs(tmp_path).iterrows())
    assert (good["name"], good["symbol"], good["state"], good["problem"]) == (run.name, "BTC/USDT", "interrupted", "")
    assert (good["stages"], good["finished"], good["seed"], good["sharpe"]) == (4, 1, 4, 0.75)
    assert st.load_run(good["path"]).metrics().loc["stage_1_ppo", "total_return"] == 0.125
    assert (broken["name"], broken["path"]) == ("broken", tmp_path / "broken")
    assert "holds no config.yaml" in broken["problem"]
    (stage.path / "model.pth").write_bytes(b"")
    assert "model.pth is empty" in st.list_runs(tmp_path).loc[0, "problem"]


def test_models_are_listed_with_their_role(tmp_path: Path) -> None:
    save_model(model_path("BTC/USDT", "stage_1_ppo", tmp_path), EXAMPLE)
    save_model(model_path("ETH/USDT", "autonomous_final", tmp_path), replace(EXAMPLE, symbol="ETH/USDT"))
    table = st.list_models(tmp_path).set_index("name")
    assert table.loc["BTCUSDT_stage_1_ppo.pth", "role"] == "newest stage model"
    assert table.loc["BTCUSDT_stage_1_ppo.pth", "sharpe"] == EXAMPLE.validation["sharpe"]
    assert st.load_model(table["path"].iloc[0]).symbol == table["symbol"].iloc[0]


def test_reports_are_listed_model_by_model(tmp_path: Path) -> None:
    result = st.compare(["flat", "buy_and_hold"], BARS)
    result.save(tmp_path / "reports" / "one")
    table = st.list_reports(tmp_path / "reports", tmp_path / "runs")
    assert table["model"].tolist() == ["flat", "buy_and_hold"]
    assert table["total_return"].tolist() == pytest.approx(result.summary()["total_return"].tolist())


def test_where_nothing_is_the_tables_have_their_columns_all_the_same(tmp_path: Path) -> None:
    assert st.list_runs(tmp_path).query("state == 'complete'").empty
    assert st.list_models(tmp_path).sort_values("sharpe").empty
    assert st.list_reports(tmp_path, tmp_path).groupby("model")["sharpe"].max().empty
