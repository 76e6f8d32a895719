"""Models from files: found as the commands find them, described, traded."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import supertrader as st
from src.agents.model_file import model_path, save_model
from tests.support.backtest_setup import make_file


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    for seed, stage in enumerate(("stage_1_ppo", "autonomous_final")):
        save_model(model_path("A", stage, folder), make_file(stage, seed))
    return folder


def test_a_model_is_found_by_symbol_stage_and_path(checkpoints: Path) -> None:
    champion = st.load_model(symbol="A", checkpoints=checkpoints)
    assert (champion.path, champion.symbol) == (checkpoints / "A_autonomous_final.pth", "A")
    stage = st.load_model("stage_1_ppo", symbol="A", checkpoints=checkpoints)
    assert stage.path == st.load_model(checkpoints / "A_stage_1_ppo.pth").path
    assert stage.path == st.load_model(str(checkpoints / "A_stage_1_ppo.pth")).path


def test_a_model_trades_its_own_bars_and_those_it_is_given(checkpoints: Path) -> None:
    model = st.load_model("stage_1_ppo", symbol="A", checkpoints=checkpoints)
    own = st.backtest(model)
    bars = st.load_bars("A", source="synthetic", length=900)
    pd.testing.assert_frame_equal(own.steps, st.backtest(model, bars).steps)
    pd.testing.assert_frame_equal(own.steps, st.backtest(model.path).steps)
    pd.testing.assert_frame_equal(own.steps, st.backtest("stage_1_ppo", symbol="A", checkpoints=checkpoints).steps)
    other = st.backtest(model, st.load_bars("A", source="synthetic", length=900, seed=5))
    assert other.report.description.data_fingerprint != own.report.description.data_fingerprint


def test_a_report_says_what_a_model_is_and_what_it_has_seen(checkpoints: Path) -> None:
    champion = st.load_model(symbol="A", checkpoints=checkpoints)
    assert st.backtest(champion).note == ""
    assert st.backtest(champion.path).note == ""
    stage = st.load_model("stage_1_ppo", symbol="A", checkpoints=checkpoints)
    assert st.backtest(stage).note == "comparison, not the champion"
    assert "lie in the period the model was trained on" in st.backtest(stage, split="train").note


def test_others_trade_under_the_rules_of_the_model_beside_them(checkpoints: Path) -> None:
    model = st.load_model("stage_1_ppo", symbol="A", checkpoints=checkpoints)
    result = st.compare({"always": lambda bars: np.ones(len(bars)), "model": model, "held": "buy_and_hold"})
    assert result.backtests["always"].steps["equity"].tolist() == result.backtests["held"].steps["equity"].tolist()
    costs = [one.report.description.costs for one in result.backtests.values()]
    assert costs[0] == costs[1] == costs[2]


def test_a_model_describes_itself(checkpoints: Path) -> None:
    words = st.load_model(symbol="A", checkpoints=checkpoints).describe()
    assert words.startswith("Model\n  Kind: ppo\n")
    assert "Trained on" in words


def test_the_agent_inside_decides_bar_by_bar(checkpoints: Path) -> None:
    agent = st.load_model("stage_1_ppo", symbol="A", checkpoints=checkpoints).agent()
    assert isinstance(agent, st.Agent)
    assert agent.warmup_bars > 0


@pytest.mark.parametrize(
    ("name", "symbol", "error", "named"),
    [
        ("stage_1_pp0", "A", st.ConfigError, "did you mean stage_1_ppo"),
        ("ppo", None, st.ConfigError, "give symbol, such as"),
        (None, None, st.ConfigError, "give symbol, such as"),
        (None, "B", st.ModelFileError, "no model of B"),
        ("nowhere.pth", None, st.ModelFileError, "does not exist"),
    ],
)
def test_what_is_no_model_is_refused(
    checkpoints: Path, name: str | None, symbol: str | None, error: type[st.TraderError], named: str
) -> None:
    with pytest.raises(error, match=named):
        st.load_model(name, symbol=symbol, checkpoints=checkpoints)


def test_a_model_brings_its_own_costs(checkpoints: Path) -> None:
    model = st.load_model("stage_1_ppo", symbol="A", checkpoints=checkpoints)
    with pytest.raises(st.ConfigError, match="a model trades under the settings in its file"):
        st.backtest(model, costs={"commission_bps": 1})
