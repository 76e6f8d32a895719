"""The encoder in NumPy says what the encoder says, whatever its settings."""

from itertools import product

import numpy as np
import pytest
import torch

from src.config.model import Activation, Attention, CoreTransformerConfig, Gating, Norm, PositionEncoding
from src.models.core_transformer import CoreTransformer
from src.models.numpy_encoder import NumpyEncoder

FEATURES = 7
KINDS = list(product(PositionEncoding, Attention)) + list(product(Norm, Gating)) + [(kind,) for kind in Activation]


def encoder(output_dim: int = 16, **settings: object) -> CoreTransformer:
    """Return an encoder whose branches do not start at zero."""
    torch.manual_seed(0)
    config = CoreTransformerConfig(**{"d_model": 16, "num_heads": 2, "ff_dim": 24, "window": 20} | settings)
    made = CoreTransformer.from_config(config, FEATURES, output_dim)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.eval()


def difference(made: CoreTransformer) -> float:
    bars = torch.randn(made.receptive_field + 5, FEATURES)
    with torch.no_grad():
        expected = made(bars[None])[0].numpy()
    assert np.abs(expected).max() > 0.1
    return float(np.abs(NumpyEncoder(made).last(bars.numpy()) - expected).max())


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_equals_the_network_with_every_setting(kind: tuple) -> None:
    names = {PositionEncoding: "position", Attention: "attention", Norm: "norm", Gating: "gating"}
    settings = {names.get(type(value), "activation"): value for value in kind}
    assert difference(encoder(**settings)) < 1e-5


@pytest.mark.parametrize(("layers", "window"), [(1, 8), (3, 40), (4, 9)])
def test_it_equals_the_network_with_any_number_of_layers(layers: int, window: int) -> None:
    assert difference(encoder(num_layers=layers, window=window, output_dim=5)) < 1e-5


def test_what_lies_before_the_context_changes_no_bit() -> None:
    made = encoder()
    bars = np.random.default_rng(0).normal(size=(made.receptive_field + 9, FEATURES)).astype(np.float32)
    written = NumpyEncoder(made)
    assert written.last(bars).tobytes() == written.last(bars[9:]).tobytes()
