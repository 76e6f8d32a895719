"""The last bar of a window is embedded as the whole series is, by the weights there are at that moment."""

import numpy as np
import pytest
import torch

from src.config.model import CoreTransformerConfig, ModelConfig, Trunk
from src.models.last_bar import LastBar
from src.models.ppo_model import PPOModel, build_model, encode_series

FEATURES = 6


def model(trunk: Trunk) -> PPOModel:
    core = CoreTransformerConfig(d_model=8, num_heads=2, ff_dim=16, window=12)
    made = build_model(PPOModel, 0, ModelConfig(trunk=trunk, core=core), FEATURES, 3, 2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter, dtype=parameter.dtype))
    return made


@pytest.mark.parametrize("trunk", list(Trunk))
def test_it_embeds_the_last_bar_by_the_weights_of_the_moment(trunk: Trunk) -> None:
    torch.manual_seed(1)
    made = model(trunk)
    bars = np.random.default_rng(0).normal(size=(made.context_bars + 1, FEATURES)).astype(np.float32)
    last = LastBar(made)
    seen = []
    for _ in range(2):
        expected = encode_series(made, torch.from_numpy(bars))[-1:]
        seen.append(last.embedding(bars))
        torch.testing.assert_close(seen[-1], expected, atol=1e-5, rtol=1e-5)
        assert made.training
        with torch.no_grad():
            next(made.trunk.parameters()).mul_(1.5)
    assert (seen[0] - seen[1]).abs().max() > 1e-3
