"""The PPO model: what is shared, what is per account, and that a description and weights are all there is to it."""

import io
import json

import pytest
import torch
from torch import Tensor

from src.config.model import (
    Activation,
    Attention,
    CoreTransformerConfig,
    Gating,
    ModelConfig,
    Norm,
    PositionEncoding,
    Trunk,
)
from src.errors import ConfigError
from src.models.ppo_model import PPOModel, build_model, encode_series

F, C, A = 6, 4, 5
CORE = CoreTransformerConfig(d_model=8, num_heads=2, ff_dim=16, window=12, dropout=0.3)


def make_model(seed: int = 0, continuous: bool = False, **settings: object) -> PPOModel:
    config = ModelConfig(**({"core": CORE, "head_dim": 16} | settings))
    model = build_model(PPOModel, seed, config, F, C, 2 if continuous else A, continuous).eval()
    source = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():  # a fresh model has branches of zero and a policy close to uniform
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=source))
    return model


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_an_embedding_is_the_scaled_masked_trunk_beside_the_features() -> None:
    model, x = make_model(embedding_scale=0.3), random_tensor(2, 20, F)
    mask = 2.0 * (random_tensor(2, 1, 8, seed=1) > 0).float()
    embedding = model.encode_market(x, mask)
    assert embedding.shape == (2, 20, model.embedding_dim) == (2, 20, 8 + F)
    assert torch.equal(embedding[..., :8], model.trunk.encode(x) * 0.3 * mask)
    assert torch.equal(embedding[..., 8:], x)
    bare = make_model(feature_skip=False, embedding_scale=1.0)
    assert bare.embedding_dim == bare.trunk_dim == 8
    assert torch.equal(bare.encode_market(x), bare.trunk.encode(x))


@pytest.mark.parametrize("skip", [True, False])
@torch.no_grad()
def test_context_is_looked_at_and_not_embedded(skip: bool) -> None:
    model, x = make_model(feature_skip=skip), random_tensor(2, 40, F)
    mask = 2.0 * (random_tensor(2, 1, 8, seed=1) > 0).float()
    context = model.context_bars
    assert context == model.trunk.receptive_field - 1 == 10
    torch.testing.assert_close(
        model.encode_market(x, mask, context), model.encode_market(x, mask)[:, context:], atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_act_is_the_heads_on_the_parts() -> None:
    model, account = make_model(), random_tensor(3, 7, C, seed=2)
    embedding = model.encode_market(random_tensor(3, 7, F))
    distribution, value = model.act(embedding, account)
    part = model.market_part(embedding)
    assert isinstance(distribution, torch.distributions.Categorical)
    torch.testing.assert_close(distribution.logits, model.policy(part.policy, account).log_softmax(-1))
    assert torch.equal(value, model.value(part.value, account))
    assert value.shape == (3, 7)
    shared, _ = model.act(embedding[:, :, None], account[:, :, None].expand(3, 7, 4, C))
    torch.testing.assert_close(shared.probs[:, :, 3], distribution.probs, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_continuous_policy_gives_a_normal_distribution() -> None:
    model, account = make_model(continuous=True), random_tensor(3, C, seed=2)
    embedding = model.encode_market(random_tensor(1, 3, F))[0]
    distribution, _ = model.act(embedding, account)
    mean, log_std = model.policy(model.market_part(embedding).policy, account).unbind(-1)
    exposure = random_tensor(3, seed=3)
    expected = -0.5 * ((exposure - mean) / log_std.exp()) ** 2 - log_std - 0.5 * torch.tensor(2 * torch.pi).log()
    torch.testing.assert_close(distribution.log_prob(exposure), expected)
    fresh = build_model(PPOModel, 0, ModelConfig(core=CORE), F, C, 2, continuous=True)
    assert fresh.act(torch.zeros(fresh.embedding_dim), torch.zeros(C))[0].stddev.item() == pytest.approx(
        0.368, abs=0.01
    )


@pytest.mark.parametrize("length", [1, 10, 11, 37, 64, 65, 100])
@pytest.mark.parametrize("chunk", [1, 16, 64])
def test_a_series_in_chunks_equals_one_pass(length: int, chunk: int) -> None:
    model, x = make_model(), random_tensor(length, F)
    embedding = encode_series(model, x, chunk)
    assert not embedding.requires_grad
    torch.testing.assert_close(embedding, model.encode_market(x[None])[0].detach(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_series_equals_its_stream() -> None:
    model, x = make_model(feature_skip=False, embedding_scale=1.0), random_tensor(60, F)
    embedding, cache = encode_series(model, x, chunk=25), None
    for t in range(60):
        output, cache = model.trunk.step(x[t : t + 1], cache)
        torch.testing.assert_close(output[0], embedding[t], atol=1e-5, rtol=0)


def test_a_series_is_encoded_without_dropout_and_leaves_the_mode_alone() -> None:
    model, x = make_model(), random_tensor(40, F)
    expected = encode_series(model, x)
    assert not model.training
    model.train()
    assert torch.equal(encode_series(model, x), expected)
    assert model.training


@pytest.mark.parametrize("trunk", Trunk)
def test_description_and_weights_are_all_there_is(trunk: Trunk) -> None:
    core = CoreTransformerConfig(
        8, 2, 2, 16, 12, 0.1, Activation.silu, Norm.rmsnorm, Gating.gru, PositionEncoding.alibi, Attention.cosine
    )
    model = make_model(trunk=trunk, core=core, feature_skip=False, embedding_scale=0.7)
    description = json.loads(json.dumps(model.describe()))
    stored = io.BytesIO()
    torch.save({"description": description, "weights": model.state_dict()}, stored)
    stored.seek(0)
    content = torch.load(stored, weights_only=True)
    rebuilt = PPOModel.from_description(content["description"]).eval()
    rebuilt.load_state_dict(content["weights"], strict=True)
    assert rebuilt.config == model.config
    assert rebuilt.describe() == model.describe()
    x = random_tensor(1, 30, F)
    assert torch.equal(rebuilt.encode_market(x), model.encode_market(x))


def test_descriptions_of_other_versions_are_refused() -> None:
    description = make_model().describe()
    with pytest.raises(ConfigError, match="unknown settings: flavour"):
        PPOModel.from_description(description | {"flavour": "sweet"})
    with pytest.raises(ConfigError, match="trunk must be one of transformer, lstm, gru, was 'mamba'"):
        PPOModel.from_description(description | {"trunk": "mamba"})


def test_initial_weights_are_a_function_of_the_seed() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build_model(PPOModel, seed, ModelConfig(), F, C, A).state_dict() for seed in (7, 7, 8))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["trunk.embed.weight"], other["trunk.embed.weight"])


def test_both_losses_reach_the_trunk() -> None:
    model, x, account = make_model(), random_tensor(2, 20, F), random_tensor(2, 20, 3, C, seed=1)
    part = model.market_part(model.encode_market(x))
    losses = {
        "policy": model.policy(part.policy[:, :, None], account)[..., 0].sum(),
        "value": model.value(part.value[:, :, None], account).sum(),
    }
    for loss in losses.values():
        gradient = torch.autograd.grad(loss, model.trunk.parameters(), retain_graph=True)
        assert all(part.abs().sum() > 0 for part in gradient)


def test_a_continuous_policy_has_two_outputs() -> None:
    with pytest.raises(AssertionError, match="two outputs"):
        PPOModel(ModelConfig(), F, C, num_outputs=3, continuous=True)
