"""A child computes what its parent did exactly where the inheritance says so, and learns from there."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
from src.models.core_transformer import CoreTransformer
from src.models.inheritance import Inheritance, inherit, inherit_encoder
from src.models.ppo_model import PPOModel, build_model

F, C, A = 5, 4, 3
CORE = CoreTransformerConfig(d_model=8, num_heads=2, num_layers=2, ff_dim=12, window=13)  # bands of 7 bars
BARS, TOLERANCE = 30, 1e-6


def trained(config: ModelConfig, features: int = F, account: int = C, seed: int = 0) -> PPOModel:
    """Return a model with weights far from their initial values."""
    model = build_model(PPOModel, seed, config, features, account, A).double().eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return model


def child_of(
    parent: PPOModel, config: ModelConfig, features: int = F, account: int = C
) -> tuple[PPOModel, Inheritance]:
    """Return a child of another shape and what became of the parent's function."""
    child = build_model(PPOModel, 9, config, features, account, A).double().eval()
    return child, inherit(parent, child, torch.Generator().manual_seed(5))


def outputs(model: PPOModel, extra: float = 0.0) -> Tensor:
    """Return logits and values of random accounts on random bars; inputs beyond F and C are filled with `extra`."""
    rng = torch.Generator().manual_seed(3)
    bars = torch.full((2, BARS, model.num_features), extra, dtype=torch.float64)
    bars[..., :F] = torch.randn(2, BARS, F, generator=rng, dtype=torch.float64)[..., : model.num_features]
    account = torch.full((2, BARS, model.num_account_inputs), extra, dtype=torch.float64)
    account[..., :C] = torch.randn(2, BARS, C, generator=rng, dtype=torch.float64)
    part = model.market_part(model.encode_market(bars))
    return torch.cat([model.policy(part.policy, account), model.value(part.value, account)[..., None]], -1)


EXACT = {
    "same": {},
    "wider feed-forward": {"ff_dim": 30},
    "one more layer, same band": {"num_layers": 3, "window": 19},
    "twice the heads": {"d_model": 16, "num_heads": 4},
    "three times the heads": {"d_model": 24, "num_heads": 6},
    "heads twice as wide": {"d_model": 16},
    "more and wider heads": {"d_model": 32, "num_heads": 4},
    "all at once": {"d_model": 32, "num_heads": 4, "ff_dim": 64, "num_layers": 5, "window": 31},
}


@pytest.mark.parametrize("position", PositionEncoding)
@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("name", EXACT)
def test_growth_preserves_the_function(name: str, norm: Norm, position: PositionEncoding) -> None:
    core = replace(CORE, norm=norm, position=position)
    parent = trained(ModelConfig(core=core, head_dim=10))
    child, found = child_of(parent, ModelConfig(core=replace(core, **EXACT[name]), head_dim=14))
    assert found.changes == ()
    torch.testing.assert_close(outputs(child), outputs(parent), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["wider feed-forward", "twice the heads"])
def test_gated_layers_and_cosine_scores_grow_too(name: str) -> None:
    core = replace(CORE, gating=Gating.gru, attention=Attention.cosine)
    parent = trained(ModelConfig(core=core))
    child, found = child_of(parent, ModelConfig(core=replace(core, **EXACT[name])))
    assert found.is_exact
    torch.testing.assert_close(outputs(child), outputs(parent), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("skip", [True, False])
def test_appended_inputs_are_not_read_yet(skip: bool) -> None:
    parent = trained(ModelConfig(core=CORE, feature_skip=skip))
    child, found = child_of(parent, ModelConfig(core=replace(CORE, d_model=16)), features=F + 3, account=C + 2)
    assert found.is_exact
    torch.testing.assert_close(outputs(child, extra=7.0), outputs(parent), rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_an_encoder_that_projects_its_embedding_grows_by_itself() -> None:
    old, new = CORE, replace(CORE, d_model=16, ff_dim=40)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parent, child = (CoreTransformer.from_config(core, F, 6).double().eval() for core in (old, new))
    for parameter in parent.parameters():
        parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    channels, changes = inherit_encoder(parent, child, old, new, torch.Generator().manual_seed(5))
    assert changes == []
    assert channels.source.tolist() == list(range(6))
    bars = torch.randn(2, BARS, F, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(child.encode(bars), parent.encode(bars), rtol=0, atol=TOLERANCE)


STATED = {
    "each layer sees 5 bars instead of 7": {"num_layers": 3},
    "1 of 2 layers dropped": {"num_layers": 1, "window": 7},
    "feed-forward 12 -> 6": {"ff_dim": 6},
    "width 8 -> 12 is no whole factor, which norms notice": {"d_model": 12, "num_heads": 3},
    "heads 2 -> 1": {"num_heads": 1},
    "head width 4 -> 2": {"num_heads": 4},
    "activation gelu -> relu": {"activation": Activation.relu},
    "norm layernorm -> rmsnorm": {"norm": Norm.rmsnorm},
    "gating none -> gru": {"gating": Gating.gru},
    "position rope -> alibi": {"position": PositionEncoding.alibi},
    "attention dot -> cosine": {"attention": Attention.cosine},
}


@pytest.mark.parametrize("change", STATED)
def test_other_changes_are_stated_and_real(change: str) -> None:
    parent = trained(ModelConfig(core=CORE))
    child, found = child_of(parent, ModelConfig(core=replace(CORE, **STATED[change])))
    assert change in found.changes
    assert (outputs(child) - outputs(parent)).abs().max() > 1e-4


def test_changes_outside_the_encoder_are_stated() -> None:
    parent = trained(ModelConfig(core=CORE, head_dim=10))
    smaller = ModelConfig(core=CORE, head_dim=8, embedding_scale=0.5, feature_skip=False)
    _, found = child_of(parent, smaller, features=F - 1, account=C - 1)
    assert found.changes == (
        "heads of policy and value 10 -> 8 wide",
        "embedding_scale 0.3 -> 0.5",
        "heads no longer see the features",
        f"features {F} -> {F - 1}",
        f"account inputs {C} -> {C - 1}",
    )


kinds = st.builds(
    partial(CoreTransformerConfig, 2, 1, 1),
    norm=st.sampled_from(Norm),
    gating=st.sampled_from(Gating),
    position=st.sampled_from(PositionEncoding),
    attention=st.sampled_from(Attention),
)
# Heads, their width, layers, feed-forward width and window.
shapes = st.tuples(*map(st.sampled_from, ([1, 2, 4], [2, 4, 8], [1, 2], [4, 8], [5, 9, 17])))


def shaped(kind: CoreTransformerConfig, shape: tuple[int, ...]) -> ModelConfig:
    """Return a model of this kind and shape."""
    heads, width, layers, ff_dim, window = shape
    core = replace(kind, d_model=heads * width, num_heads=heads, num_layers=layers, ff_dim=ff_dim, window=window)
    return ModelConfig(core=core, head_dim=6)


@settings(max_examples=40, deadline=None)
@given(kinds, shapes, shapes)
@torch.no_grad()
def test_between_any_two_shapes_exact_means_equal(
    kind: CoreTransformerConfig, old: tuple[int, ...], new: tuple[int, ...]
) -> None:
    parent = trained(shaped(kind, old))
    child, found = child_of(parent, shaped(kind, new))
    distance = float((outputs(child) - outputs(parent)).abs().max())
    assert (distance <= TOLERANCE) == found.is_exact, (distance, found.changes)


def test_copies_do_not_learn_the_same() -> None:
    parent = trained(ModelConfig(core=CORE))
    child, _ = child_of(parent, ModelConfig(core=replace(CORE, d_model=16, num_heads=4)))
    outputs(child).square().mean().backward()
    gradient = child.trunk.embed.weight.grad
    assert gradient is not None
    assert (gradient[:8] - gradient[8:]).abs().max() > 1e-3 * gradient.abs().max()


def test_new_units_learn() -> None:
    parent = trained(ModelConfig(core=CORE))
    child, _ = child_of(parent, ModelConfig(core=replace(CORE, ff_dim=30, num_layers=3, window=19)))
    outputs(child).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in child.trunk.named_parameters()}
    assert gradients["blocks.0.narrow.weight"][:, 12:].abs().min() > 0
    assert gradients["blocks.2.attention.out.weight"].abs().max() > 0


def test_recurrent_trunks_are_refused() -> None:
    config = ModelConfig(trunk=Trunk.gru, core=CORE)
    with pytest.raises(ConfigError, match="between single transformers only, had RecurrentTrunk"):
        child_of(trained(config), config)
