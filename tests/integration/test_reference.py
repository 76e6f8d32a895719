"""The encode-once path against stock RLlib: equal actions, rewards and advantages; and the stock path trains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.rllib.env.single_agent_episode import SingleAgentEpisode

from src.agents.model_file import load_model
from src.agents.registry import agent_from_file
from src.backtesting.engine import run_backtest
from src.backtesting.environment import TradingVectorEnv
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.runtime import RuntimeConfig
from src.config.stages.learning import Advantages, PPOStageConfig, Sampling
from src.config.trading import ActionConfig, ActionKind, EnvironmentConfig, RiskConfig
from src.errors import ConfigError
from src.execution.ledger import Accounts
from src.features.pipeline import FeaturePipeline
from src.market.synthetic.known_markets import generate, market_costs
from src.models.ppo_model import PPOModel, build_model
from src.trading.prepared_market import prepare_market
from src.trading.rules import make_rules
from src.trading.session import BarOutcome
from src.training.pipeline import run_sequence
from src.training.rllib.algorithm_config import POLICY_PARTS, StageJob, algorithm_config
from src.training.rllib.reference_env import SeriesVectorEnv, series_market
from src.training.rollout.action_distribution import Categorical
from src.training.rollout.group_rollout import GroupRollout, generalised_advantages
from src.training.rollout.training_market import TrainingMarket
from src.training.stage_trainer import StageTrainer
from src.training.training_data import prepare_data
from tests.support.tiny_training import tiny_config

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_session"), pytest.mark.filterwarnings("ignore")]

CPU = torch.device("cpu")
WINDOW = 8
ENVIRONMENT = EnvironmentConfig(episode_bars=24)
STAGE = PPOStageConfig(
    sampling=Sampling.reference,
    accounts=12,
    groups=4,
    horizon=24,
    minibatches=2,
    epochs=1,
    gamma=0.9,
    gae_lambda=0.8,
    embedding_dropout=0.0,
)


def training_market(risk: RiskConfig) -> TrainingMarket:
    """Market A4 and its mirror image."""
    bars = generate("A4", 700, np.random.default_rng(0))
    rows = range(200, 600)
    sides = [bars, bars.mirrored()]
    pipeline = FeaturePipeline(["returns", "deviations"], 6.0).fit([(side, rows) for side in sides])
    rules = make_rules(ENVIRONMENT, market_costs("A4"), risk, float(bars.log_returns[200:600].std()))
    markets = [prepare_market(side, pipeline, rules.costs, rows) for side in sides]
    return TrainingMarket.from_markets(markets, rules, context_bars=WINDOW - 1)


@pytest.fixture(scope="module")
def model() -> PPOModel:
    core = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=WINDOW)
    config = ModelConfig(core=core, head_dim=16)
    built = build_model(PPOModel, 0, config, num_features=7, num_account_inputs=4, num_outputs=5)
    source = torch.Generator().manual_seed(2)
    with torch.no_grad():  # residual branches start at zero and would hide mistakes
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=source))
    return built.eval()


def stock_config(folder: Path, model: PPOModel, market: TrainingMarket) -> PPOConfig:
    market.save(folder)
    return algorithm_config(
        StageJob(STAGE, ENVIRONMENT, RuntimeConfig(), model, folder, seed=3, device=CPU, parts=POLICY_PARTS)
    )


class GivenNoise(Categorical):
    """Acts on noise that is handed in."""

    def __init__(self, noise: torch.Tensor) -> None:
        super().__init__(noise.shape[-1])
        self._noise = noise

    def noise(self, *args: object) -> torch.Tensor:
        return self._noise


def test_given_the_same_noise_groups_and_environments_live_the_same_lives(
    model: PPOModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = training_market(RiskConfig())
    play = GroupRollout(market, STAGE, ENVIRONMENT, seed=5, worker=0, device=CPU)
    opened = [Accounts(*(np.broadcast_to(c, (4, 3))[g].copy() for c in play._session.accounts)) for g in range(4)]
    noise = Categorical(5).noise((STAGE.horizon, 4, 3), torch.Generator().manual_seed(7), CPU)
    play._distribution = GivenNoise(noise)
    outcomes: list[BarOutcome] = []
    advance = play._session.advance
    monkeypatch.setattr(play._session, "advance", lambda bar: outcomes.append(advance(bar)) or outcomes[-1])
    batch, _ = play.collect(model, 0)

    runner = SingleAgentEnvRunner(config=stock_config(tmp_path, model, market))
    runner.module.policy.load_state_dict(model.state_dict())
    for group, start in enumerate(batch.start.tolist()):
        (span,) = (span for span in market.spans if span.first <= start < span.stop)
        env = TradingVectorEnv(series_market(market, span), market.rules, WINDOW, episode_bars=24, num_envs=3)
        env.reset(options={"start": start - span.context})
        env._session.open(opened[group])
        observation = env._observe()
        for step in range(STAGE.horizon):
            np.testing.assert_array_equal(observation["account"], batch.account[group, step].numpy())
            logits = runner.module.forward_exploration({"obs": {k: torch.tensor(v) for k, v in observation.items()}})
            action = Categorical(5).sample(logits["action_dist_inputs"], noise[step, group])
            np.testing.assert_array_equal(action, batch.action[group, step])
            observation, reward, *_ = env.step(action.numpy())
            np.testing.assert_array_equal(reward, outcomes[step].reward[group])
    assert batch.action.unique().numel() == 5


def own_estimates(episode: SingleAgentEpisode, values: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages and value targets of one episode by the encode-once path's own arithmetic."""
    alive = torch.ones(len(episode) + 1, dtype=torch.bool)
    alive[-1] = not episode.is_terminated
    rewards = torch.tensor(episode.get_rewards(), dtype=torch.float32)
    return generalised_advantages(rewards, torch.from_numpy(values), alive, STAGE.gamma, STAGE.gae_lambda)


def test_advantages_equal_those_of_stock_connectors_on_the_same_episodes(model: PPOModel, tmp_path: Path) -> None:
    """Episodes RLlib sampled itself, some cut off, some ended by a margin call at the first loss of one per cent."""
    config = stock_config(tmp_path, model, training_market(RiskConfig(maintenance_margin_frac=0.99)))
    runner = SingleAgentEnvRunner(config=config)
    episodes = runner.sample()
    learner = config.build_learner(spaces=runner.get_spaces())
    module = learner.module[DEFAULT_MODULE_ID].unwrapped()
    module.policy.load_state_dict(model.state_dict())
    expected, predicted = [], []
    for episode in episodes:
        observations = {name: torch.from_numpy(column) for name, column in episode.get_observations().items()}
        values = module.compute_values({"obs": observations}).numpy()
        predicted.append(values[:-1])
        expected.append(own_estimates(episode, values))
    assert {episode.is_terminated for episode in episodes} == {True, False}

    batch = learner._learner_connector(
        rl_module=learner.module, batch={}, episodes=episodes, shared_data={}, metrics=learner.metrics
    )[DEFAULT_MODULE_ID]
    played = batch["loss_mask"]  # false where RLlib added a step for the value after the last
    advantages, targets = (torch.cat(columns).numpy() for columns in zip(*expected, strict=True))
    np.testing.assert_allclose(batch["value_targets"][played].numpy(), targets, atol=1e-5)
    np.testing.assert_allclose(targets - np.concatenate(predicted), advantages, atol=1e-5)
    # RLlib's are normalised, which is a straight line
    normalised = batch["advantages"][played].numpy()
    np.testing.assert_allclose(np.polyval(np.polyfit(advantages, normalised, 1), advantages), normalised, atol=1e-4)


def test_environments_of_all_series_stand_side_by_side(model: PPOModel, tmp_path: Path) -> None:
    market = training_market(RiskConfig())
    env = SeriesVectorEnv(stock_config(tmp_path, model, market).env_config | {"num_envs": 5})
    alone = [
        TradingVectorEnv(series_market(market, span), market.rules, WINDOW, episode_bars=24, num_envs=len(own))
        for span, own in zip(market.spans, ([0, 2, 4], [1, 3]), strict=True)
    ]
    observation, _ = env.reset(seed=10)
    expected = [alone[0].reset(seed=[10, 12, 14])[0], alone[1].reset(seed=[11, 13])[0]]
    rng = np.random.default_rng(0)
    for _ in range(60):  # two episodes and the resets between them
        for part, own in zip(expected, (slice(0, 5, 2), slice(1, 5, 2)), strict=True):
            for name, column in part.items():
                np.testing.assert_array_equal(observation[name][own], column)
        action = rng.integers(0, 5, 5)
        observation, reward, terminated, truncated, _ = env.step(action)
        results = [alone[0].step(action[::2]), alone[1].step(action[1::2])]
        expected = [result[0] for result in results]
        for index, column in enumerate((reward, terminated, truncated), start=1):
            np.testing.assert_array_equal(column[::2], results[0][index])
            np.testing.assert_array_equal(column[1::2], results[1][index])


def test_groups_and_environments_stay_on_the_same_bars(model: PPOModel) -> None:
    """An environment's last decision leaves a bar to fill on, and its series never runs into the next."""
    market = training_market(RiskConfig())
    for span in market.spans:
        series = series_market(market, span)
        assert series.rows == range(WINDOW - 1, span.stop - span.context - 1)
        np.testing.assert_array_equal(series.features[series.rows.stop], market.features[span.stop - 1])
        assert series.tape.close[series.rows.start] == market.tape.close[span.first]


def test_long_only_exposures_are_cut_alike(model: PPOModel) -> None:
    """Groups must not learn to go short where environments and backtests do not let them."""
    from dataclasses import replace

    market = training_market(RiskConfig())
    action = ActionConfig(kind=ActionKind.continuous, allow_short=False)
    long_only = replace(market, rules=replace(market.rules, action=action))
    core = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=WINDOW)
    continuous = build_model(PPOModel, 0, ModelConfig(core=core, head_dim=16), 7, 4, num_outputs=2, continuous=True)
    play = GroupRollout(long_only, STAGE, ENVIRONMENT, seed=5, worker=0, device=CPU)
    batch, _ = play.collect(continuous, 0)
    assert (batch.action < 0).any()
    assert play._session.accounts.target.min() >= 0


def test_all_action_needs_encode_once() -> None:
    with pytest.raises(ConfigError, match="set advantages=sampled, or sampling=encode_once"):
        PPOStageConfig(sampling=Sampling.reference, advantages=Advantages.all_action)


class TestTraining:
    """Whole stages through `run_sequence`."""

    REFERENCE = ("sequence.stage_1_ppo.sampling=reference", "sequence.stage_1_ppo.keep=last")

    def trained(self, folder: Path, *overrides: str) -> dict[str, torch.Tensor]:
        return load_model(run_sequence(tiny_config(folder, *overrides))["stage_1_ppo"].model_path).weights

    def test_leaves_a_model_that_trades_as_it_was_validated(self, tmp_path: Path) -> None:
        config = tiny_config(tmp_path, *self.REFERENCE, "sequence.stage_1_ppo.mirror=true")
        result = run_sequence(config)["stage_1_ppo"]
        assert result.env_steps == 2 * 16 * 16
        data = prepare_data(config)
        again = run_backtest(
            agent_from_file(load_model(result.model_path)), data.bars, data.rules, data.splits.validation
        )
        expected = result.validation["total_return"]
        assert again.records.equity[-1] / data.rules.initial_equity - 1 == pytest.approx(expected, rel=1e-12)

    def test_weights_move_and_remote_runners_take_part(self, tmp_path: Path) -> None:
        settings = (*self.REFERENCE, "environment.action.kind=continuous")
        moved = self.trained(tmp_path / "moved", *settings, "runtime.num_env_runners=1")
        initial = self.trained(tmp_path / "initial", *settings, "sequence.stage_1_ppo.lr=1e-12")
        assert all(bool(weight.isfinite().all()) for weight in moved.values())
        assert any(not torch.allclose(moved[name], initial[name], atol=1e-4) for name in moved)

    def test_an_interrupted_run_is_continued(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = (*self.REFERENCE, "sequence.stage_1_ppo.iterations=4")
        save = StageTrainer._save

        def killed_after_the_second_save(self: StageTrainer, algorithm: object) -> None:
            save(self, algorithm)  # type: ignore[arg-type]
            if self._progress.iteration == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(StageTrainer, "_save", killed_after_the_second_save)
        with pytest.raises(KeyboardInterrupt):
            run_sequence(tiny_config(tmp_path, *settings))
        monkeypatch.undo()
        result = run_sequence(tiny_config(tmp_path, *settings))["stage_1_ppo"]
        assert (result.iterations, result.evaluations) == (4, 4)
        (metrics,) = tmp_path.rglob("metrics.jsonl")
        steps = [line.split('"charts/env_steps": ')[1].split(",")[0] for line in metrics.read_text().splitlines()]
        assert steps == ["256.0", "512.0", "768.0", "1024.0"]
