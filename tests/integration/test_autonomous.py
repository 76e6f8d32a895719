"""The Autonomous stage end to end on a tiny population: same champion for the same seed, resumed or not."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.agents.autonomous_agent import AutonomousAgent
from src.agents.baselines import RIVALS
from src.agents.model_file import CHAMPION_STAGE, load_model, model_path
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.config.training import TrainingConfig
from src.signing.signature import signature_path, signers
from src.trading.rules import TradingRules
from src.training import autonomous_trainer
from src.training.autonomous_trainer import AutonomousStage, run_autonomous_stage
from src.training.pipeline import run_sequence
from src.training.training_data import prepare_data
from tests.support.local_workers import LocalWorkers
from tests.support.said_steps import steps_said
from tests.support.tiny_training import autonomous_config, autonomous_settings
from tests.support.trained_runs import TrainedRuns

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session")]


@pytest.fixture
def trained(trained_runs: TrainedRuns) -> TrainingConfig:
    return trained_runs(autonomous_settings).config


def champion_of(config: TrainingConfig) -> Path:
    return model_path(config.symbol, CHAMPION_STAGE, config.run.models_dir)


def test_what_is_published_is_signed_and_is_what_was_trained(trained: TrainingConfig) -> None:
    champion = champion_of(trained)
    published = champion.read_bytes()
    assert signers(champion, published)  # by every process of the suite that came by it
    assert not signers(champion, published[:-1] + bytes([published[-1] ^ 1]))
    (own,) = Path(trained.run.runs_dir).glob("A4_*/stage_4_autonomous/model.pth")
    assert published == own.read_bytes()
    assert not signature_path(own).exists()


def test_a_champion_is_left_with_its_verdict(trained: TrainingConfig) -> None:
    file = load_model(champion_of(trained))
    assert file.kind == "autonomous"
    assert file.evaluations >= 4
    (run,) = Path(trained.run.runs_dir).glob("A4_*")
    bred = json.loads((run / "stage_4_autonomous" / "population.json").read_text())
    assert file.lineage == bred["lineage"]
    assert file.lineage[-1] == bred["champion"]
    assert file.evaluations == bred["evaluations"]
    promotion = file.dossier["promotion"]
    assert promotion["trials"] == file.evaluations
    assert promotion["looks"] == 1
    assert len(promotion["reasons"]) == (refused_by(promotion) or 4 + len(RIVALS))
    assert file.verdict == ("not distinguishable from luck" if refused_by(promotion) else "promoted")
    with closing(sqlite3.connect(Path(trained.run.runs_dir) / "trials.db")) as database:
        (counted,) = database.execute("select sum(evaluations) from trials").fetchone()
    assert counted == file.evaluations


def refused_by(promotion: dict[str, Any]) -> int:
    """Return how many questions of the gate its figures answer with no."""
    selection, sealed = promotion["selection"], promotion["sealed"]
    asked = [
        selection["deflated_sharpe"] > 0.95,
        min(selection["overfitting"], selection["loss_probability"]) < 0.5,
        sealed["probabilistic_sharpe"] > sealed["required"],
        promotion["alpha"]["probability"] > sealed["required"],
        *[sealed["sharpe"] > rival["sharpe"] for rival in promotion["rivals"]],
    ]
    return asked.count(False)


def test_the_file_trades_as_the_population_judged(trained: TrainingConfig) -> None:
    data = prepare_data(trained)
    file = load_model(champion_of(trained))
    agent = agent_from_file(file)
    assert isinstance(agent, AutonomousAgent)
    rules = TradingRules.from_plain(file.rules)
    result = run_backtest(agent, data.bars, rules, data.splits.validation)
    assert float(result.records.equity[-1]) == pytest.approx(file.validation["final_equity"], rel=1e-6)


def test_called_from_python_the_same_seed_breeds_the_same_champion_whoever_trains_the_members(
    trained: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    again = autonomous_config(tmp_path, "tracking.progress=true")
    monkeypatch.setattr(autonomous_trainer, "Workers", LocalWorkers)
    with caplog.at_level("INFO"):
        result = run_autonomous_stage(again)
    assert result.model_path == champion_of(again)
    assert steps_said(caplog) == [
        "reading bars and fitting features",
        "starting Ray",
        *("stage_4_autonomous: pattern network, step", "stage_4_autonomous: looking at the market"),
        *(
            "stage_4_autonomous: starting workers",
            "stage_4_autonomous: member",
            "stage_4_autonomous: judging the champion",
        ),
    ]
    counts = {text.split(",")[0] for text in caplog.messages if text.startswith("stage_4_autonomous: member")}
    assert counts == {f"stage_4_autonomous: member {count}/4" for count in range(5)}
    one, other = load_model(champion_of(trained)), load_model(champion_of(again))
    assert one.lineage == other.lineage
    assert one.dossier["genome"] == other.dossier["genome"]
    for name, weight in one.weights.items():
        assert torch.equal(weight, other.weights[name]), name


def test_decisions_do_not_see_the_future(trained: TrainingConfig) -> None:
    data = prepare_data(trained)
    file = load_model(champion_of(trained))
    agent = agent_from_file(file)
    rules = TradingRules.from_plain(file.rules)
    rows = range(data.splits.validation.start, data.splits.validation.start + 40)
    whole = run_backtest(agent, data.bars, rules, rows)
    cut = run_backtest(agent, data.bars[: rows.stop], rules, rows)
    np.testing.assert_array_equal(whole.records.target, cut.records.target)


ADVISED = tuple(
    f"sequence.stage_4_autonomous.{name}={value}"
    for name, value in {
        "controller": "differentiable",
        "supernet.steps": 4,
        "supernet.batch": 2,
        "supernet.chunk_bars": 16,
        "search.num_layers": "[1,2]",
    }.items()
)


@pytest.mark.slow
def test_a_differentiable_search_asks_its_supernet_once_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice, breed = [], AutonomousStage._breed
    ask = autonomous_trainer.supernet_preferences

    def asked(*arguments: Any) -> Any:
        advice.append(ask(*arguments))
        return advice[-1]

    def breed_once(stage: AutonomousStage, workers: Any) -> None:
        if stage._population.generation == 1:
            raise RuntimeError("cut short")
        breed(stage, workers)

    monkeypatch.setattr(autonomous_trainer, "supernet_preferences", asked)
    whole, cut = (autonomous_config(tmp_path / name, *ADVISED) for name in ("whole", "cut"))
    run_sequence(whole)
    monkeypatch.setattr(AutonomousStage, "_breed", breed_once)
    with pytest.raises(RuntimeError, match="cut short"):
        run_sequence(cut)
    assert len(advice) == 2
    assert advice[0] == advice[1]
    assert any(any(scores) for scores in advice[0].values())
    monkeypatch.setattr(AutonomousStage, "_breed", breed)
    run_sequence(cut)
    assert len(advice) == 2
    one, other = load_model(champion_of(whole)), load_model(champion_of(cut))
    assert one.dossier["genome"] == other.dossier["genome"]
    for name, weight in one.weights.items():
        assert torch.equal(weight, other.weights[name]), name
