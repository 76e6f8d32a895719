"""Recurrent controls: the transformer's interface, its size, and a memory that fades."""

import itertools

import pytest
import torch
from torch import Tensor

from src.config.model import CoreTransformerConfig, Gating, ModelConfig, Trunk
from src.models.trunk import RecurrentTrunk, build_trunk, equal_size_hidden_dim, parameter_count

CONTROLS = [Trunk.lstm, Trunk.gru]
CONFIG = CoreTransformerConfig(d_model=16, num_heads=2, ff_dim=32, window=40)


def make_control(cell: Trunk, config: CoreTransformerConfig = CONFIG) -> RecurrentTrunk:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RecurrentTrunk.from_config(cell, config, 5, 7).eval()


def random_tensor(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("trunk", Trunk)
def test_all_trunks_share_the_interface(trunk: Trunk) -> None:
    built = build_trunk(ModelConfig(trunk=trunk, core=CONFIG), input_dim=5).eval()
    x = random_tensor(3, 50, 5)
    assert 1 < built.receptive_field <= CONFIG.window
    assert built.encode(x).shape == (3, 50, CONFIG.d_model)
    torch.testing.assert_close(built.encode(x, context=20), built.encode(x)[:, 20:], atol=1e-5, rtol=0)
    torch.testing.assert_close(built(x), built.encode(x)[:, -1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "gates"), [(Trunk.lstm, 4), (Trunk.gru, 3)])
def test_the_formula_counts_every_parameter(cell: Trunk, gates: int) -> None:
    hidden, layers, features, width = 11, 3, 5, 7
    built = RecurrentTrunk(cell, features, width, hidden, layers, window=8)
    square = 2 * gates * layers
    expected = square * hidden**2 + (features + 1 + square + 2 + width) * hidden + width
    assert parameter_count(built) == expected


@pytest.mark.parametrize("cell", CONTROLS)
def test_controls_are_as_large_as_the_transformer(cell: Trunk) -> None:
    for width, layers, ff, gating in itertools.product((16, 64), (1, 2, 4), (16, 128), Gating):
        core = CoreTransformerConfig(width, 2, layers, ff, 64, gating=gating)
        sizes = [
            parameter_count(build_trunk(ModelConfig(trunk=trunk, core=core), 14)) for trunk in (Trunk.transformer, cell)
        ]
        assert abs(sizes[1] / sizes[0] - 1) < 0.1, (core, sizes)


def test_the_budget_draws_no_random_numbers() -> None:
    before = torch.random.get_rng_state()
    assert equal_size_hidden_dim(Trunk.gru, CONFIG, 5, 7) > 1
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("cell", CONTROLS)
@torch.no_grad()
def test_the_future_changes_nothing(cell: Trunk) -> None:
    control, x = make_control(cell), random_tensor(2, 30, 5)
    changed = x.clone()
    changed[:, 20:] = 9.0
    assert torch.equal(control.encode(changed)[:, :20], control.encode(x)[:, :20])
    assert not torch.equal(control.encode(changed)[:, 20], control.encode(x)[:, 20])


@pytest.mark.parametrize("cell", CONTROLS)
@torch.no_grad()
def test_chunks_agree_as_far_as_memory_fades(cell: Trunk) -> None:
    control, x = make_control(cell), random_tensor(1, 200, 5)
    whole, context = control.encode(x), control.receptive_field - 1
    assert control.receptive_field == CONFIG.window
    error = [
        (control.encode(x[:, 150 - past : 170], past) - whole[:, 150:170]).abs().max()
        for past in (context // 4, context)
    ]
    assert error[1] < 1e-3 < error[0]


def test_dropout_acts_between_layers_in_train_mode_only() -> None:
    for layers in (1, 2):  # one layer has nothing between, and torch would warn
        config = CoreTransformerConfig(d_model=16, num_heads=2, num_layers=layers, window=40, dropout=0.5)
        control, x = make_control(Trunk.gru, config), random_tensor(2, 10, 5)
        assert torch.equal(control.encode(x), control.encode(x))
        control.train()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            assert torch.equal(control.encode(x), control.encode(x)) == (layers == 1)
