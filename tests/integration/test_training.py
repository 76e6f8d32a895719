"""The PPO stage on RLlib: the same bits twice, the same bits after an interruption, and no work done twice."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.agents.model_file import load_model, save_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.errors import ConfigError, RunLocked
from src.runs.run_folder import locked
from src.training.pipeline import run_sequence
from src.training.stage_run import run_folder
from src.training.stage_trainer import StageTrainer
from src.training.training_data import prepare_data
from tests.support.said_steps import steps_said
from tests.support.tiny_training import tiny_config, tiny_settings
from tests.support.trained_runs import TrainedRuns

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session"), pytest.mark.filterwarnings("ignore")]


def trained(folder: Path, *overrides: str) -> dict[str, torch.Tensor]:
    result = run_sequence(tiny_config(folder, *overrides))["stage_1_ppo"]
    return load_model(result.model_path).weights


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


KEEP_LAST = ("sequence.stage_1_ppo.iterations=4", "sequence.stage_1_ppo.keep=last")


def test_same_seed_same_bits_other_seed_other_bits(trained_runs: TrainedRuns, tmp_path: Path) -> None:
    first = load_model(trained_runs(tiny_settings, *KEEP_LAST).model("stage_1_ppo")).weights
    assert equal(first, trained(tmp_path / "a", *KEEP_LAST))
    assert equal(first, trained(tmp_path / "a", *KEEP_LAST, "run.fresh=true"))
    assert not equal(first, trained(tmp_path / "b", *KEEP_LAST, "seed=1"))


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted as by Ctrl-C; for sudden death see tests/e2e/test_killed_training.py."""
    settings = (*KEEP_LAST, "model.core.dropout=0.2")
    whole = trained(tmp_path / "whole", *settings)
    save = StageTrainer._save

    def killed_after_the_second_save(self: StageTrainer, algorithm: object) -> None:
        save(self, algorithm)  # type: ignore[arg-type]
        if self._progress.iteration == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(StageTrainer, "_save", killed_after_the_second_save)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", *settings)
    monkeypatch.undo()
    assert equal(whole, trained(tmp_path / "cut", *settings))


def test_a_complete_run_is_not_repeated(trained_runs: TrainedRuns, caplog: pytest.LogCaptureFixture) -> None:
    first = trained_runs(tiny_settings)
    stamp = first.model("stage_1_ppo").stat().st_mtime_ns
    with caplog.at_level("INFO"):
        again = run_sequence(first.config)
    assert "stage_1_ppo is complete already" in caplog.text
    assert again == first.results
    assert first.model("stage_1_ppo").stat().st_mtime_ns == stamp


def test_the_model_file_trades_as_the_trainer_validated(trained_runs: TrainedRuns) -> None:
    run = trained_runs(tiny_settings)
    result, data = run.results["stage_1_ppo"], prepare_data(run.config)
    agent = agent_from_file(load_model(result.model_path))
    again = run_backtest(agent, data.bars, data.rules, data.splits.validation)
    expected = result.validation["total_return"]
    assert again.records.equity[-1] / data.rules.initial_equity - 1 == pytest.approx(expected, rel=1e-12)


def test_a_run_in_use_is_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    with locked(run_folder(config, prepare_data(config))), pytest.raises(RunLocked, match="another process"):
        run_sequence(config)


def test_remote_runners_train(tmp_path: Path) -> None:
    weights = trained(tmp_path, "runtime.num_env_runners=1")
    assert all(bool(weight.isfinite().all()) for weight in weights.values())


def test_continuous_actions_train(tmp_path: Path) -> None:
    weights = trained(tmp_path, "environment.action.kind=continuous", "environment.reward.kind=log_growth")
    assert all(bool(weight.isfinite().all()) for weight in weights.values())


def test_a_stage_can_start_from_an_earlier_one(tmp_path: Path) -> None:
    second = (
        "+sequence.stage_2_ppo={algorithm: PPO, init_from: stage_1_ppo, iterations: 1, accounts: 16, groups: 4, "
        "horizon: 16, epochs: 1, minibatches: 2, evaluate_every: 1, lr: 1e-9, keep: last, weight_average: 0}"
    )
    results = run_sequence(tiny_config(tmp_path, *KEEP_LAST, "sequence.stage_1_ppo.weight_average=0", second))
    first, then = (load_model(result.model_path).weights for result in results.values())
    for name, weight in first.items():
        np.testing.assert_allclose(then[name].numpy(), weight.numpy(), atol=1e-5)


def test_saying_how_far_it_is_changes_no_bit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    second = (
        "+sequence.stage_2_ppo={algorithm: PPO, iterations: 2, accounts: 16, groups: 4, horizon: 16, epochs: 1, "
        "minibatches: 2, evaluate_every: 1, keep: last}"
    )
    settings = ("model.core.dropout=0.2", second)
    silent = run_sequence(tiny_config(tmp_path / "silent", *settings))
    with caplog.at_level("INFO"):
        shown = run_sequence(tiny_config(tmp_path / "shown", *settings, "tracking.progress=true"))
    for name in silent:
        assert equal(*(load_model(results[name].model_path).weights for results in (silent, shown)))
    stages = [[f"{name}: building the learner", f"{name}: iteration"] for name in silent]
    before = ["reading bars and fitting features", "starting Ray", "timing a little of each stage"]
    assert steps_said(caplog) == [*before, *stages[0], *stages[1]]
    assert "stage 1 of 2, about " in caplog.text


def test_starting_from_another_architecture_is_refused(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "sequence.stage_1_ppo.init_from=stage_0_ppo")
    other = run_sequence(tiny_config(tmp_path / "other", "model.core.d_model=16"))["stage_1_ppo"]
    target = config.run.models_dir / "A4_stage_0_ppo.pth"
    save_model(target, load_model(other.model_path))
    with pytest.raises(ConfigError, match="another architecture"):
        run_sequence(config)


def test_a_complete_run_publishes_its_own_model_again(tmp_path: Path) -> None:
    """Two runs share the place where models are published; repeating the first brings back its model."""
    first = trained(tmp_path)
    assert not equal(first, trained(tmp_path, "seed=1"))
    assert equal(first, trained(tmp_path))


def test_one_symbol_however_it_is_spelt_is_one_run(tmp_path: Path) -> None:
    run_sequence(tiny_config(tmp_path))
    run_sequence(tiny_config(tmp_path, "symbol=a-4"))
    assert len([path for path in (tmp_path / "runs").iterdir() if path.is_dir()]) == 1
