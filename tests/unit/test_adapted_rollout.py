"""Rollouts play adapted policies as they play plain ones: each group of accounts with its own parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.config.schema import CoreTransformerConfig, EnvironmentConfig, ModelConfig, RiskConfig
from src.config.stages import AdaptationConfig, PPOStageConfig, Scope
from src.features.pipeline import FeaturePipeline
from src.market.synthetic import generate, market_costs
from src.models.maml_model import AdaptedPolicy, MAMLModel, build_maml_model
from src.trading.market import prepare_market
from src.trading.rules import make_rules
from src.training.rollout import GroupRollout, RolloutBatch
from src.training.training_market import TrainingMarket

STAGE = PPOStageConfig(accounts=12, groups=4, horizon=8, minibatches=2)
ENVIRONMENT = EnvironmentConfig(episode_bars=24)
ADAPTATION = AdaptationConfig(
    support_bars=10,
    adapt_every=8,
    inner_steps=1,
    inner_lr=1.0,
    learn_inner_lr=False,
    second_order=False,
    scope=Scope.head,
)


@pytest.fixture(scope="module")
def market() -> TrainingMarket:
    bars = generate("A", 500, np.random.default_rng(0))
    pipeline = FeaturePipeline(["returns"], 6.0).fit([(bars, range(100, 400))])
    rules = make_rules(ENVIRONMENT, market_costs("A"), RiskConfig(), 0.01)
    return TrainingMarket.from_markets([prepare_market(bars, pipeline, rules.costs, range(100, 400))], rules, 7)


def make_model(scope: Scope, seed: int) -> MAMLModel:
    core = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=8)
    settings = replace(ADAPTATION, scope=scope)
    model = build_maml_model(ModelConfig(core=core, head_dim=16), 4, 4, 5, adaptation=settings, seed=seed)
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return model


def played(market: TrainingMarket, model: MAMLModel | AdaptedPolicy) -> RolloutBatch:
    rollout = GroupRollout(market, STAGE, ENVIRONMENT, seed=5, worker=0, device=torch.device("cpu"))
    return rollout.collect(model, iteration=0)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", Scope, ids=[scope.value for scope in Scope])
def test_each_group_is_played_with_its_own_parameters(market: TrainingMarket, scope: Scope) -> None:
    """Groups 0 and 2 have the parameters of one model, groups 1 and 3 those of another."""
    models = make_model(scope, 0), make_model(scope, 1)
    models[1].value_head.load_state_dict(models[0].value_head.state_dict())  # the value head is shared
    if scope is Scope.head:
        models[1].trunk.load_state_dict(models[0].trunk.state_dict())
    mixed = {
        name: torch.stack([models[group % 2].get_parameter(name) for group in range(4)]) for name in models[0].adaptable
    }
    together = played(market, AdaptedPolicy(models[0], mixed))
    for index, model in enumerate(models):
        alone = played(market, model)
        own = slice(index, None, 2)
        assert torch.equal(together.action[own], alone.action[own])
        for name in ("log_prob", "advantage", "value_target", "account"):
            torch.testing.assert_close(getattr(together, name)[own], getattr(alone, name)[own], atol=1e-5, rtol=1e-4)
    assert not torch.equal(played(market, models[0]).action, played(market, models[1]).action)
