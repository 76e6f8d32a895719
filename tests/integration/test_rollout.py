"""Encode-once rollouts against the slow way: one window, one account, one step at a time."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.stages.learning import PPOStageConfig
from src.config.trading import ActionKind, EnvironmentConfig, RiskConfig
from src.execution.ledger import Accounts
from src.features.pipeline import FeaturePipeline
from src.market.synthetic.known_markets import generate, market_costs
from src.models.flat_bars import FlatBars, flat_bars
from src.models.ppo_model import PPOModel, build_model
from src.trading.prepared_market import prepare_market
from src.trading.rules import make_rules
from src.trading.session import Session
from src.training.rllib.rl_module import PolicyRLModule
from src.training.rollout.group_rollout import GroupRollout, RolloutBatch
from src.training.rollout.training_market import TrainingMarket

CPU = torch.device("cpu")
STAGE = PPOStageConfig(accounts=12, groups=4, horizon=8, minibatches=2, gamma=0.9, gae_lambda=0.8)
ENVIRONMENT = EnvironmentConfig(episode_bars=24)
WINDOW = 8


@pytest.fixture(scope="module")
def market() -> TrainingMarket:
    bars = generate("A", 700, np.random.default_rng(0))
    pipeline = FeaturePipeline(["returns", "deviations"], 6.0)
    rows = range(200, 600)
    sides = [bars, bars.mirrored()]
    pipeline = pipeline.fit([(side, rows) for side in sides])
    rules = make_rules(ENVIRONMENT, market_costs("A4"), RiskConfig(), float(bars.log_returns[rows.start : 600].std()))
    markets = [prepare_market(side, pipeline, rules.costs, rows) for side in sides]
    return TrainingMarket.from_markets(markets, rules, context_bars=WINDOW - 1)


@pytest.fixture(scope="module")
def model(market: TrainingMarket) -> PPOModel:
    core = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=WINDOW)
    sizes = (market.features.shape[1], len(market.rules.account_inputs), len(market.rules.action.targets))
    built = build_model(PPOModel, 1, ModelConfig(core=core, head_dim=16), *sizes).eval()
    with torch.no_grad():  # residual branches start at zero and would hide mistakes
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return built


def rollout(market: TrainingMarket, stage: PPOStageConfig = STAGE, worker: int = 0) -> GroupRollout:
    return GroupRollout(market, stage, ENVIRONMENT, seed=5, worker=worker, device=CPU)


def bars_of(market: TrainingMarket) -> FlatBars:
    return flat_bars(market.features, market.tape, market.rules, CPU)


def test_embeddings_equal_those_of_single_windows(market: TrainingMarket, model: PPOModel) -> None:
    start = torch.tensor([span.first + 13 for span in market.spans])
    mask = torch.ones(len(start), 1, model.trunk_dim)
    features = torch.from_numpy(market.features)
    with torch.no_grad():
        policy, chunk = model.on_chunks(bars_of(market), start, 5, mask)
        assert policy is model
        for group, first in enumerate(start.tolist()):
            for bar in range(5):
                window = features[first + bar - WINDOW + 1 : first + bar + 1]
                alone = model.encode_market(window[None])[0, -1]
                torch.testing.assert_close(chunk[group, bar], alone, atol=1e-5, rtol=0)


def replayed(market: TrainingMarket, opened: Accounts, batch: RolloutBatch, group: int, account: int) -> list[float]:
    """Play one account's recorded actions alone, through a session of its own."""
    session = Session(market.rules)
    session.open(Accounts(*(np.array(column)[group : group + 1, account] for column in opened)))
    targets, rewards = market.rules.action.targets, []
    for step, action in enumerate(batch.action[group, :, account].tolist()):
        np.testing.assert_array_equal(session.account_inputs()[0], batch.account[group, step, account].numpy())
        session.decide(np.array([targets[action]]))
        row = int(batch.start[group]) + step + 1
        rewards.append(float(session.advance(market.tape.at(slice(row, row + 1))).reward[0]))
    return rewards


def test_accounts_live_as_they_would_alone(market: TrainingMarket, model: PPOModel) -> None:
    """Observed accounts are equal bit for bit, and rewards reproduce the advantages by their definition."""
    play = rollout(market)
    opened = Accounts(*(np.broadcast_to(column, (4, 3)).copy() for column in play._session.accounts))
    batch, _ = play.collect(model, 0)
    for group, account in ((0, 0), (3, 2)):
        rewards = replayed(market, opened, batch, group, account)
        # advantage + value = value target, so the values the rollout used are known
        values = (batch.value_target - batch.advantage)[group, :, account].numpy()
        advantage = batch.advantage[group, :, account].numpy()
        discount = STAGE.gamma * STAGE.gae_lambda
        for t in range(STAGE.horizon - 1):
            delta = rewards[t] + STAGE.gamma * values[t + 1] - values[t]
            assert advantage[t] == pytest.approx(delta + discount * advantage[t + 1], abs=2e-5)


def test_log_probabilities_are_those_of_the_policy_that_sampled(market: TrainingMarket, model: PPOModel) -> None:
    batch, _ = rollout(market).collect(model, 0)
    with torch.no_grad():
        _, embedding = model.on_chunks(bars_of(market), batch.start, STAGE.horizon, batch.embedding_mask)
        distribution, _ = model.act(embedding[:, :, None], batch.account)
    torch.testing.assert_close(distribution.log_prob(batch.action), batch.log_prob, atol=1e-5, rtol=0)


def test_a_resumed_rollout_continues_with_the_same_bits(market: TrainingMarket, model: PPOModel) -> None:
    whole, first = rollout(market), rollout(market)
    expected = [whole.collect(model, iteration)[0] for iteration in range(6)]
    for iteration in range(2):
        first.collect(model, iteration)
    second = rollout(market)
    second.load_state_dict(first.state_dict())
    for iteration in range(2, 6):
        batch, _ = second.collect(model, iteration)
        assert all(torch.equal(a, b) for a, b in zip(batch, expected[iteration], strict=True))


def test_chunks_stay_inside_their_series(market: TrainingMarket, model: PPOModel) -> None:
    play = rollout(market)
    for iteration in range(12):
        batch, _ = play.collect(model, iteration)
        for start in batch.start.tolist():
            assert any(span.first <= start and start + STAGE.horizon < span.stop for span in market.spans)


def test_both_series_are_played_and_workers_differ(market: TrainingMarket, model: PPOModel) -> None:
    one, _ = rollout(market).collect(model, 0)
    other, _ = rollout(market, worker=1).collect(model, 0)
    assert not torch.equal(one.action, other.action)
    starts = torch.cat([rollout(market, worker=w).collect(model, 0)[0].start for w in range(4)])
    assert all(any(span.first <= start < span.stop for start in starts.tolist()) for span in market.spans)


def test_ruined_accounts_are_masked_from_then_on(market: TrainingMarket, model: PPOModel) -> None:
    stage = PPOStageConfig(accounts=12, groups=4, horizon=8, minibatches=2)
    play = GroupRollout(market, stage, ENVIRONMENT, seed=5, worker=0, device=CPU)
    accounts = play._session.accounts
    ruined = np.zeros((4, 3), dtype=bool)
    ruined[1, 1] = True
    play._session.open(accounts._replace(ruined=ruined))
    batch, statistics = play.collect(model, 0)
    assert not batch.alive[1, :, 1].any()
    assert batch.alive.sum() == batch.alive.numel() - stage.horizon
    assert statistics.terminated_frac >= 1 / 12


def test_continuous_actions_stay_within_the_leverage(market: TrainingMarket) -> None:
    from dataclasses import replace

    rules = replace(market.rules, action=replace(market.rules.action, kind=ActionKind.continuous))
    other = TrainingMarket(market.features, market.tape, market.spans, rules)
    core = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=WINDOW)
    config = ModelConfig(core=core, head_dim=16)
    model = build_model(PPOModel, 0, config, market.features.shape[1], 4, 2, continuous=True)
    play = rollout(other)
    batch, _ = play.collect(model, 0)
    assert batch.action.dtype == torch.float32
    assert (abs(play._session.accounts.target) <= rules.action.max_leverage).all()


def test_stock_observations_and_shared_bars_give_the_same_outputs(
    market: TrainingMarket, model: PPOModel, tmp_path: Path
) -> None:
    """One RLlib module, two kinds of batch: a window per sample, or whole groups that share bars."""
    market.save(tmp_path)
    config = {"kind": "ppo", "description": model.describe(), "seed": 0, "market_folder": str(tmp_path)}
    spaces = {"observation_space": gym.spaces.Box(-1, 1, (4,)), "action_space": gym.spaces.Discrete(5)}
    module = RLModuleSpec(module_class=PolicyRLModule, model_config=config, **spaces).build()
    module.policy.load_state_dict(model.state_dict())
    batch, _ = rollout(market).collect(model, 0)
    columns = batch._asdict() | {"embedding_mask": torch.ones_like(batch.embedding_mask)}
    with torch.no_grad():
        shared = module.forward_train(columns)
        values = module.compute_values(columns, shared["embeddings"])
        for group, step, account in ((0, 0, 0), (3, 7, 2)):
            row = int(batch.start[group]) + step
            window = torch.from_numpy(market.features[row - WINDOW + 1 : row + 1])[None]
            observed = {"obs": {"market": window, "account": batch.account[group, step, account][None]}}
            alone = module.forward_inference(observed)["action_dist_inputs"][0]
            torch.testing.assert_close(shared["action_dist_inputs"][group, step, account], alone, atol=1e-5, rtol=0)
            value = module.compute_values(observed)[0]
            torch.testing.assert_close(values[group, step, account], value, atol=1e-5, rtol=0)


def test_the_return_of_an_episode_is_the_sum_of_its_rewards(market: TrainingMarket, model: PPOModel) -> None:
    whole = PPOStageConfig(accounts=3, groups=1, horizon=8, minibatches=1)
    play = GroupRollout(market, whole, EnvironmentConfig(episode_bars=24), seed=5, worker=0, device=CPU)
    earned, ended = 0.0, []
    for iteration in range(9):
        _, statistics = play.collect(model, iteration)
        earned += statistics.reward * 8
        if statistics.episode_return is not None:
            ended.append((statistics.episode_return, earned, statistics.episode_length))
            earned = 0.0
    assert [told for told, _, _ in ended] == pytest.approx([summed for _, summed, _ in ended], rel=1e-5)
    assert [length for *_, length in ended][1:] == [24.0] * (len(ended) - 1)
    assert len(ended) >= 3


def test_episodes_go_on_where_a_saved_rollout_stood(market: TrainingMarket, model: PPOModel) -> None:
    play, resumed = rollout(market), rollout(market)
    play.collect(model, 0)
    resumed.load_state_dict(play.state_dict())
    for iteration in (1, 2, 3):
        assert play.collect(model, iteration)[1] == resumed.collect(model, iteration)[1]
