"""The MAML stage on RLlib: what it learns from, the same bits again, and what it leaves."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.agents.adaptive_agent import AdaptivePolicyAgent
from src.agents.model_file import load_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.training.pipeline import run_sequence
from src.training.training_data import prepare_data
from tests.support.tiny_training import MAML, maml_config, maml_settings
from tests.support.trained_runs import TrainedRuns

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session"), pytest.mark.filterwarnings("ignore")]

ALL_ACTION = (
    f"{MAML}.advantages=all_action",
    "environment.account_inputs=[exposure]",
    "environment.reward.kind=linear",
)
ONCE = (f"{MAML}.iterations=1", f"{MAML}.weight_average=0")
WAYS = pytest.mark.parametrize("settings", [(), ALL_ACTION], ids=["sampled", "all_action"])


def trained(folder: Path, *overrides: str) -> dict[str, torch.Tensor]:
    result = run_sequence(maml_config(folder, *overrides))["stage_3_maml"]
    return load_model(result.model_path).weights


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@WAYS
def test_same_seed_same_bits_other_seed_other_bits(
    settings: tuple[str, ...], trained_runs: TrainedRuns, tmp_path: Path
) -> None:
    whole = load_model(trained_runs(maml_settings, *settings).model("stage_3_maml")).weights
    assert all(bool(weight.isfinite().all()) for weight in whole.values())
    assert equal(whole, trained(tmp_path / "again", *settings))
    assert not equal(whole, trained(tmp_path / "other", *settings, "seed=1"))


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return trained(tmp_path_factory.mktemp("once"), *ONCE)


@pytest.mark.parametrize(
    "setting",
    ["second_order=false", "scope=network", "inner_steps=3", "learn_inner_lr=false", "inner_lr=0.5", "support_bars=23"],
)
def test_every_setting_of_the_inner_loop_reaches_the_learner(
    setting: str, once: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """One iteration, in which nothing but the inner loop can make a difference."""
    assert not equal(once, trained(tmp_path, *ONCE, f"{MAML}.adaptation.{setting}"))


def test_the_model_file_trades_as_the_trainer_validated(trained_runs: TrainedRuns) -> None:
    run = trained_runs(maml_settings)
    result, data = run.results["stage_3_maml"], prepare_data(run.config)
    file = load_model(result.model_path)
    agent = agent_from_file(file)
    assert isinstance(agent, AdaptivePolicyAgent)
    again = run_backtest(agent, data.bars, data.rules, data.splits.validation)
    expected = result.validation["total_return"]
    assert again.records.equity[-1] / data.rules.initial_equity - 1 == pytest.approx(expected, rel=1e-12)
    assert file.model["adaptation"]["support_bars"] == 24
    assert agent.warmup_bars == data.splits.train.start


def test_tasks_of_several_symbols_train(tmp_path: Path) -> None:
    weights = trained(tmp_path, "symbols=[A,B]", "runtime.num_env_runners=1")
    assert all(bool(weight.isfinite().all()) for weight in weights.values())
    market = np.load(next(tmp_path.glob("runs/*/stage_3_maml/market/features.npy")))
    alone = maml_config(tmp_path / "alone")
    one = prepare_data(alone).training_markets[0]
    tasks = len(one.rows) // (64 + 5)
    assert len(market) == pytest.approx(3 * tasks * (64 + 15 - 1), abs=3 * (64 + 15))
