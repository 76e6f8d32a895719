"""The supernet: any one encoder to the bit, mixtures by hand, honest draws, and a preference for what is needed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from src.config.agent.world import WorldConfig
from src.config.model import CoreTransformerConfig, ModelConfig
from src.config.stages.search_space import SearchSpaceConfig
from src.config.stages.supernet import SupernetConfig
from src.models.core_transformer import Block, CoreTransformer
from src.models.ppo_model import build_model
from src.models.world.inputs import WorldInputs
from src.models.world.targets import world_targets
from src.models.world_model import TransformerWorldModel
from src.nas.genes import Value
from src.training.pretraining.architecture_gradient import fit_logits, relaxed_sample
from src.training.pretraining.series_chunks import WorldSeries, WorldSplit, split_series
from src.training.pretraining.supernet import RELAXED, Options, SuperBlock, SuperTrunk
from tests.support.random_bars import bars_from_steps

F = 5
CORE = CoreTransformerConfig(d_model=8, num_heads=2, ff_dim=12, window=9)
KINDS = SearchSpaceConfig.NAMES
ALL: Options = {"num_layers": [1, 3, 2], **{name: [kind.value for kind in KINDS[name]] for name in KINDS}}


def shaken_trunk(options: Options = ALL) -> SuperTrunk:
    source = torch.Generator().manual_seed(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = SuperTrunk(CORE, options, F)
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=source))
    return trunk


def one_hot(genome: dict[str, Value], options: Options = ALL) -> dict[str, Tensor]:
    return {name: torch.tensor([float(value == genome[name]) for value in options[name]]) for name in RELAXED}


def plain_encoder(trunk: SuperTrunk, genome: dict[str, Value], options: Options = ALL) -> CoreTransformer:
    """Build the one encoder and hand it the parts of the supernet that are its own."""
    kinds = {name: kind(genome[name]) for name, kind in KINDS.items()}
    encoder = CoreTransformer.from_config(replace(CORE, num_layers=int(genome["num_layers"]), **kinds), F, CORE.d_model)
    norm = list(options["norm"]).index(genome["norm"])
    encoder.embed, encoder.norm = trunk.embed, trunk.norm.alternatives[norm]
    for own, shared in zip(encoder.blocks, trunk.blocks, strict=False):
        assert isinstance(own, Block)
        assert isinstance(shared, SuperBlock)
        own.attention_norm, own.ff_norm = shared.attention_norm.alternatives[norm], shared.ff_norm.alternatives[norm]
        own.widen, own.narrow = shared.widen, shared.narrow
        way = shared.attention.alternatives[f"{genome['attention']}_{genome['position']}_{encoder.band}"]
        own.attention.qkv, own.attention.out, own.attention.log_scale = way.qkv, way.out, way.log_scale
        if own.attention_gate is not None:
            own.attention_gate, own.ff_gate = shared.attention_join.gate, shared.ff_join.gate
    return encoder


def genomes(options: Options) -> list[dict[str, Value]]:
    return [dict(zip(RELAXED, values, strict=True)) for values in product(*(options[name] for name in RELAXED))]


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# The encoder.


@torch.no_grad()
def test_with_all_weight_on_one_genome_it_is_that_encoder_to_the_bit() -> None:
    trunk, x = shaken_trunk(), random_tensor(1, 24, F)
    outputs = []
    for genome in genomes(ALL)[::5]:
        trunk.weights = one_hot(genome)
        encoder = plain_encoder(trunk, genome)
        for context in (0, 20):
            assert torch.equal(trunk.encode(x, context), encoder.encode(x, context)), genome
        outputs.append(encoder.encode(x))
    assert len(outputs) == 44
    # Each of them computes something of its own, so the comparison means something.
    flat = torch.stack(outputs).flatten(1)
    assert float(torch.pdist(flat).min()) > 1e-3


def test_every_encoder_learns_the_same_shared_weights() -> None:
    trunk, x = shaken_trunk(), random_tensor(2, 20, F)
    genome = genomes(ALL)[100]
    trunk.weights = one_hot(genome)
    encoder = plain_encoder(trunk, genome)
    own = torch.autograd.grad(trunk.encode(x).square().sum(), [trunk.embed.weight, trunk.blocks[0].widen.weight])
    plain = torch.autograd.grad(
        encoder.encode(x).square().sum(), [encoder.embed.weight, encoder.blocks[0].widen.weight]
    )
    for one, other in zip(own, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_depths_are_mixed_as_their_weights_say() -> None:
    trunk, x = shaken_trunk(), random_tensor(2, 20, F)
    genome = genomes(ALL)[57]
    shares = torch.tensor([0.2, 0.5, 0.3])
    trunk.weights = one_hot(genome) | {"num_layers": shares}
    alone = [plain_encoder(trunk, {**genome, "num_layers": depth}).encode(x) for depth in (1, 3, 2)]
    torch.testing.assert_close(trunk.encode(x), sum(share * one for share, one in zip(shares, alone, strict=True)))


@torch.no_grad()
def test_series_of_a_batch_may_have_architectures_of_their_own() -> None:
    trunk, x = shaken_trunk(), random_tensor(2, 12, F)
    some = [{name: random_tensor(len(ALL[name]), seed=seed).softmax(-1) for name in RELAXED} for seed in (1, 2)]
    alone = []
    for place, weights in enumerate(some):
        trunk.weights = weights
        alone.append(trunk.encode(x[place : place + 1]))
    trunk.weights = {name: torch.stack([weights[name] for weights in some]) for name in RELAXED}
    torch.testing.assert_close(trunk.encode(x), torch.cat(alone))


@torch.no_grad()
def test_activations_are_mixed_before_what_reads_them() -> None:
    options = {**ALL, "num_layers": [1]}
    trunk = shaken_trunk(options)
    block, wide = trunk.blocks[0], random_tensor(2, 3, CORE.ff_dim)
    assert isinstance(block, SuperBlock)
    gelu, relu, silu = (function(wide) for function in (torch.nn.functional.gelu, torch.relu, torch.nn.functional.silu))
    genome = {**genomes(options)[0], "gating": "none"}
    weights = one_hot(genome, options) | {"activation": torch.tensor([0.1, 0.6, 0.3])}
    # The branch of feed-forward alone: attention says nothing, widening is what we say it is.
    for way in block.attention.alternatives.values():
        way.out.weight.zero_()
        way.out.bias.zero_()
    block.widen.forward = lambda x: wide  # type: ignore[method-assign]
    x = random_tensor(2, 3, CORE.d_model, seed=4)
    expected = x + (0.1 * gelu + 0.6 * relu + 0.3 * silu) @ block.narrow.weight.T + block.narrow.bias
    torch.testing.assert_close(block(x, 3, 9, weights), expected)


@torch.no_grad()
def test_it_looks_back_as_far_as_its_field_says_and_never_ahead() -> None:
    trunk, x = shaken_trunk(), random_tensor(1, 40, F)
    before = trunk.encode(x)
    changed = x.clone()
    changed[:, 20] += 1.0
    moved = (trunk.encode(changed) != before).any(-1)[0]
    assert moved.nonzero().flatten().tolist() == list(range(20, 20 + trunk.receptive_field))
    assert trunk.receptive_field == 9


# Draws.


def test_draws_are_those_of_the_distribution() -> None:
    # Without a temperature the largest weight is the value drawn, with the probability its logit says (Gumbel-max).
    logits, rng = {"a": torch.tensor([1.0, 0.0, -1.0]), "b": torch.zeros(2)}, torch.Generator().manual_seed(0)
    draws = relaxed_sample(logits, 0.01, 4000, rng)
    for name, own in logits.items():
        drawn = draws[name].argmax(-1)
        shares, expected = torch.bincount(drawn, minlength=len(own)) / 4000, own.softmax(-1)
        assert bool(((shares - expected).abs() < 4 * (expected * (1 - expected) / 4000).sqrt()).all())


def test_a_draw_has_the_derivative_of_its_softmax() -> None:
    logits = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)

    def first_weight(values: Tensor) -> Tensor:
        return relaxed_sample({"a": values}, 0.7, 1, torch.Generator().manual_seed(5))["a"][0, 0]

    (slope,) = torch.autograd.grad(first_weight(logits), logits)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    by_hand = [(first_weight(logits + one) - first_weight(logits - one)) / 2e-6 for one in step]
    torch.testing.assert_close(slope, torch.stack(by_hand).detach(), rtol=1e-5, atol=1e-8)


# The search.

WORLD = WorldConfig(horizons=[1], hidden_dim=8, dropout=0.0)
CONFIG = ModelConfig(core=replace(CORE, ff_dim=16), head_dim=8)
FIXED: dict[str, Sequence[Value]] = {
    "num_layers": [1], "activation": ["gelu"], "norm": ["layernorm"], "gating": ["none"],
    "position": ["rope"], "attention": ["dot"],
}  # fmt: skip


def supernet(options: Options) -> tuple[TransformerWorldModel, SuperTrunk]:
    inputs = WorldInputs((-1.0, 0.0, 1.0), None, 0.01)
    model = build_model(TransformerWorldModel, 0, CONFIG, F, 4, 3, world=WORLD, inputs=inputs)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        trunk = SuperTrunk(CONFIG.core, options, F)
    model.add_module("trunk", trunk)
    return model, trunk


def series_where(returns: Any, features: Tensor) -> WorldSplit:
    bars = bars_from_steps(np.asarray(returns)[:, None], np.ones(len(returns)))
    own = WorldSeries(features, world_targets(bars, [1]).before(len(bars), [1]))
    return split_series(own, 0.3, 8, [1])


def echoes(count: int = 1500) -> WorldSplit:
    """Draw noise whose value comes back as a return two bars later: which bar of the window it is matters."""
    features = random_tensor(count, F, seed=8)
    returns = torch.zeros(count)
    returns[2:] = 0.02 * features[:-2, 0].sign()
    return series_where(returns.numpy(), features)


def shares_of(options: Options, split: WorldSplit, settings: SupernetConfig, seed: int) -> dict[str, Tensor]:
    found = fit_logits(*supernet(options), [split], settings, torch.Generator().manual_seed(seed))
    return {name: logits.softmax(-1) for name, logits in found.items()}


QUICK = SupernetConfig(steps=100, batch=8, chunk_bars=128, lr=0.03, logit_lr=0.1)


@pytest.mark.parametrize("seed", [0, 1])
def test_where_order_matters_it_would_rather_know_positions(seed: int) -> None:
    options = {**FIXED, "position": ["none", "rope"]}
    assert float(shares_of(options, echoes(), QUICK, seed)["position"][1]) > 0.8


def test_the_same_seed_finds_the_same_logits_and_leaves_torch_alone() -> None:
    options, settings = {**FIXED, "norm": ["layernorm", "rmsnorm"]}, replace(QUICK, steps=8, chunk_bars=32)
    state = torch.random.get_rng_state()
    one, same, other = (shares_of(options, echoes(400), settings, seed)["norm"] for seed in (4, 4, 5))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_weights_learn_from_the_earlier_rows_and_logits_from_the_later() -> None:
    options = {**FIXED, "norm": ["layernorm", "rmsnorm"]}
    split = echoes(400)
    nonsense = WorldSeries(split.later.features.flip(0), split.later.targets)

    def fitted(own: WorldSplit, settings: SupernetConfig) -> tuple[Tensor, Tensor]:
        model, trunk = supernet(options)
        logits = fit_logits(model, trunk, [own], settings, torch.Generator().manual_seed(6))
        return trunk.embed.weight.detach(), logits["norm"]

    # As long as the logits wait, the later rows change nothing; afterwards they do.
    waiting, moving = replace(QUICK, steps=1, chunk_bars=32), replace(QUICK, steps=4, chunk_bars=32)
    changed = split._replace(later=nonsense)
    weights, logits = fitted(split, waiting)
    assert torch.equal(weights, fitted(changed, waiting)[0])
    assert not bool(logits.any())
    assert not torch.equal(fitted(split, moving)[1], fitted(changed, moving)[1])
    # Rows of the first part that lie before its last chunk are not those of the second: no target is in both.
    known = [int(part.targets.returns_known.sum()) for part in split]
    assert known == [279, 119]  # of 400: 280 before the cut less a future that crosses it, 120 less the last bar's
