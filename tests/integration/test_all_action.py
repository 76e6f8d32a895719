"""All-action advantages through the trainer: repeatable, refused where a state is more than a position."""

from pathlib import Path

import pytest
import torch

from src.agents.model_file import load_model
from src.errors import ConfigError
from src.training.pipeline import run_sequence
from src.training.plan import describe_run
from src.training.rollout.chunk_sampler import ChunkSampler
from src.training.rollout.training_market import TrainingMarket
from src.training.training_data import prepare_data
from tests.support.tiny_training import tiny_config, tiny_settings
from tests.support.trained_runs import TrainedRuns

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session"), pytest.mark.filterwarnings("ignore")]

ALL_ACTION = (
    "sequence.stage_1_ppo.advantages=all_action",
    "sequence.stage_1_ppo.epochs=2",
    "sequence.stage_1_ppo.mirror=true",
    "sequence.stage_1_ppo.iterations=4",
    "sequence.stage_1_ppo.keep=last",
    "environment.account_inputs=[exposure]",
    "environment.reward.kind=linear",
)


def trained(folder: Path, *overrides: str) -> dict[str, torch.Tensor]:
    result = run_sequence(tiny_config(folder, *ALL_ACTION, *overrides))["stage_1_ppo"]
    return load_model(result.model_path).weights


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_same_seed_same_bits_other_seed_other_bits(trained_runs: TrainedRuns, tmp_path: Path) -> None:
    whole = load_model(trained_runs(tiny_settings, *ALL_ACTION).model("stage_1_ppo")).weights
    assert all(bool(weight.isfinite().all()) for weight in whole.values())
    assert equal(whole, trained(tmp_path / "again"))
    assert not equal(whole, trained(tmp_path / "other", "seed=1"))


def test_every_position_counts_as_an_account(trained_runs: TrainedRuns) -> None:
    run = trained_runs(tiny_settings, *ALL_ACTION)
    config = run.config
    stage, targets = config.sequence["stage_1_ppo"], config.environment.action.targets
    steps = stage.groups * stage.horizon * len(targets)
    assert any(f"4 iterations of {steps:,} account steps" in line for line in describe_run(config))
    assert run.results["stage_1_ppo"].env_steps == 4 * steps


def test_remote_runners_train(tmp_path: Path) -> None:
    weights = trained(tmp_path, "runtime.num_env_runners=1")
    assert all(bool(weight.isfinite().all()) for weight in weights.values())


def test_chunks_stay_inside_their_series_and_carry_its_returns_and_costs(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, *ALL_ACTION, "costs.commission_bps=7")
    data, stage = prepare_data(config), config.sequence["stage_1_ppo"]
    market = TrainingMarket.from_markets(data.training_markets, data.rules, context_bars=config.model.core.window - 1)
    sampler, played = ChunkSampler(market, stage, seed=0, worker=0), set()
    for iteration in range(20):
        batch = sampler.draw(iteration, width=4)
        for group, start in enumerate(batch.start.tolist()):
            (span,) = [n for n, s in enumerate(market.spans) if s.first <= start and start + stage.horizon < s.stop]
            played.add(span)
            after = slice(start + 1, start + stage.horizon + 1)
            moves = market.tape.log_return[after] / data.rules.bar_volatility
            assert batch.log_return[group].tolist() == pytest.approx(moves.tolist(), rel=1e-6)
    assert played == {0, 1}
    # 7 bps of commission, and half a spread and slippage of 1 bp each by default
    assert batch.cost_frac.numpy() == pytest.approx(9e-4 / data.rules.bar_volatility)


@pytest.mark.parametrize(
    "setting",
    [
        "environment.action.kind=continuous",
        "environment.reward.kind=log_growth",
        "environment.account_inputs=[exposure,drawdown]",
        "environment.reward.drawdown_penalty=0.1",
        "risk.max_drawdown_frac=0.2",
    ],
)
def test_what_cannot_be_enumerated_is_refused_before_anything_starts(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"all_action enumerates positions and needs {setting.split('=')[0]}"):
        run_sequence(tiny_config(tmp_path, *ALL_ACTION, setting))
    assert not (tmp_path / "runs").exists()
