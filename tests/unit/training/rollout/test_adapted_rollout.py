"""Rollouts play adapted policies as they play plain ones: each group of accounts with its own parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.stages.learning import AdaptationConfig, PPOStageConfig, Scope
from src.config.trading import EnvironmentConfig, RiskConfig
from src.features.pipeline import FeaturePipeline
from src.market.synthetic.known_markets import generate, market_costs
from src.models.maml.inner_loop import Parameters
from src.models.maml_model import MAMLModel, adapt_chunks
from src.models.position_grid import linear_terms, position_grid
from src.models.ppo_model import build_model
from src.trading.prepared_market import prepare_market
from src.trading.rules import make_rules
from src.training.rollout.group_rollout import GroupRollout, RolloutBatch
from src.training.rollout.training_market import TrainingMarket

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
    return TrainingMarket.from_markets([prepare_market(bars, pipeline, rules.costs, range(100, 400))], rules, 17)


def make_model(scope: Scope, seed: int) -> MAMLModel:
    core = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=1, ff_dim=16, window=8)
    settings = replace(ADAPTATION, scope=scope)
    model = build_model(MAMLModel, seed, ModelConfig(core=core, head_dim=16), 4, 4, 5, adaptation=settings)
    with torch.no_grad():
        model.policy_head.output.weight.mul_(100.0)
    return model


def played(market: TrainingMarket, model: MAMLModel) -> RolloutBatch:
    rollout = GroupRollout(market, STAGE, ENVIRONMENT, seed=5, worker=0, device=torch.device("cpu"))
    return rollout.collect(model, iteration=0)[0]


def without_adapting(model: MAMLModel, parameters: Parameters | None = None) -> MAMLModel:
    """The model with an inner loop that returns these parameters, or those it is given."""
    model.adapt = lambda given, support: parameters or given  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("scope", Scope, ids=[scope.value for scope in Scope])
def test_each_group_is_played_with_its_own_parameters(market: TrainingMarket, scope: Scope) -> None:
    """Groups 0 and 2 have the parameters of one model, groups 1 and 3 those of another."""
    models = [without_adapting(make_model(scope, seed)) for seed in (0, 1)]
    models[1].value_head.load_state_dict(models[0].value_head.state_dict())  # the value head is shared
    if scope is Scope.head:
        models[1].trunk.load_state_dict(models[0].trunk.state_dict())
    alone = [played(market, model) for model in models]
    mixed = {
        name: torch.stack([models[group % 2].get_parameter(name) for group in range(4)]) for name in models[0].adaptable
    }
    together = played(market, without_adapting(models[0], mixed))
    for index, expected in enumerate(alone):
        own = slice(index, None, 2)
        assert torch.equal(together.action[own], expected.action[own])
        for name in ("log_prob", "advantage", "value_target", "account"):
            torch.testing.assert_close(getattr(together, name)[own], getattr(expected, name)[own], atol=1e-5, rtol=1e-4)
    assert not torch.equal(alone[0].action, alone[1].action)


@pytest.mark.parametrize("scope", Scope, ids=[scope.value for scope in Scope])
def test_each_group_adapts_to_the_bars_before_its_chunk(market: TrainingMarket, scope: Scope) -> None:
    """Log-probabilities are those of `adapt_chunks` on rows, returns and costs cut out of the market by hand."""
    model = make_model(scope, 0)
    batch = played(market, model)
    features, (log_return, cost) = torch.from_numpy(market.features), linear_terms(market.tape, market.rules)
    for group, start in enumerate(batch.start.tolist()):
        rows = features[start - ADAPTATION.support_bars - model.context_bars : start + STAGE.horizon]
        paid = slice(start - ADAPTATION.support_bars + 1, start + 1)
        terms = (torch.from_numpy(column[paid])[None] for column in (log_return, cost))
        with torch.no_grad():
            policy, embedding = adapt_chunks(
                model, rows[None], *terms, position_grid(market.rules), batch.embedding_mask[group : group + 1]
            )
            logits = policy.policy(policy.market_part(embedding).policy[:, :, None], batch.account[group : group + 1])
        expected = logits.log_softmax(-1).gather(-1, batch.action[group, ..., None][None])[0, ..., 0]
        torch.testing.assert_close(batch.log_prob[group], expected, atol=1e-5, rtol=1e-4)
