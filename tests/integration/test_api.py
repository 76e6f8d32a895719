"""Training from a notebook: the run it returns, resuming, and the models it leaves."""

from pathlib import Path

import pytest

import supertrader as st

pytestmark = pytest.mark.ray

STAGES = {f"sequence.{name}": None for name in ("stage_2_moe", "stage_3_maml", "stage_4_autonomous")}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Two iterations on a generated market, below a folder of its own."""
    folder = tmp_path_factory.mktemp("api")
    return STAGES | {
        "symbol": "A4",
        "data.source": "synthetic",
        "data.synthetic.bars": 1500,
        "features.names": ["returns", "deviations"],
        "run.runs_dir": folder / "runs",
        "run.checkpoints_dir": folder / "checkpoints",
    }


@pytest.fixture(scope="module")
def run(settings: dict[str, object]) -> st.Run:
    return st.train(settings, experiment="smoke", progress=False)


def test_a_run_tells_what_it_reached_and_where_its_models_are(run: st.Run, settings: dict[str, object]) -> None:
    assert (run.state, run.verdict, list(run.models)) == ("complete", None, ["stage_1_ppo"])
    assert run.folder.parent == settings["run.runs_dir"]
    row = run.metrics().loc["stage_1_ppo"]
    assert row["env_steps"] == 2 * 16 * 16  # iterations * accounts * horizon
    assert row["sharpe"] == run.models["stage_1_ppo"].validation["sharpe"]
    assert Path(row["published"]).read_bytes() == run.models["stage_1_ppo"].path.read_bytes()


def test_curves_hold_a_row_an_iteration(run: st.Run) -> None:
    curves = run.curves("stage_1_ppo")
    assert list(curves.index) == [1, 2]
    assert curves["validation/sharpe"].max() == run.metrics().loc["stage_1_ppo", "sharpe"]
    with pytest.raises(st.ConfigError, match="did you mean 'stage_1_ppo'"):
        run.curves("stage_1")


def test_the_model_trades_and_is_compared(run: st.Run) -> None:
    model = run.models["stage_1_ppo"]
    result = st.compare({"trained": model, "market": "buy_and_hold"})
    assert result.backtests["trained"].steps.equals(st.backtest(model).steps)


def test_the_same_settings_are_the_same_run(run: st.Run, settings: dict[str, object]) -> None:
    before = run.models["stage_1_ppo"].path.stat().st_mtime_ns
    again = st.train(settings, experiment="smoke", progress=False)
    assert again.folder == run.folder
    assert again.models["stage_1_ppo"].path.stat().st_mtime_ns == before


def test_the_catalogue_lists_it(run: st.Run, settings: dict[str, object]) -> None:
    (row,) = st.list_runs(str(settings["run.runs_dir"])).to_dict("records")
    assert (row["name"], row["state"], row["timeframe"]) == (run.folder.name, "complete", "1h")
    (model,) = st.list_models(str(settings["run.checkpoints_dir"])).to_dict("records")
    assert model["data_fingerprint"] == row["data_fingerprint"]
