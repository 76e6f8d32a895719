"""`NumpyPatternNetwork`: a trained `PatternNetwork` for use only, in NumPy.

A live bar asks about four windows, and then torch spends its time on calls: written out as matrix products, with each
normalisation taken into the convolution before it, the same network answers in a quarter of it.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from src.market.bars import FloatArray
from src.reasoning.patterns.network import Convolution, PatternNetwork, Residual, standardised_windows
from src.reasoning.patterns.shapes import NONE, PATTERNS

Activations = NDArray[np.float32]  # (N, T, C), later (N, C)
Layer = Callable[[Activations], Activations]


class NumpyPatternNetwork:
    """Equals `PatternNetwork.probabilities` within 1e-5; weights are those at the time it is built."""

    def __init__(self, network: PatternNetwork) -> None:
        self._layers = [_layer(each) for each in network.layers if not isinstance(each, nn.Dropout)]
        self._temperature = network.temperature.item()

    def probabilities(self, windows: Sequence[FloatArray]) -> FloatArray:
        """Return the calibrated probability of each pattern in windows of log prices, (M, 8) float64 in their order.

        Args:
            windows: tables (N, T) of any lengths; all are read at once. One that stands still is none.
        """
        seen = standardised_windows(windows)
        x = seen.transpose(0, 2, 1)
        for layer in self._layers:
            x = layer(x)
        scores = x.astype(np.float64) / self._temperature
        probabilities: FloatArray = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        probabilities[~seen.any(axis=(1, 2))] = np.eye(len(PATTERNS))[NONE]
        return probabilities


def _layer(module: nn.Module) -> Layer:
    if isinstance(module, Convolution):
        return _convolution(module)
    if isinstance(module, Residual):
        first, second = _convolution(module.first), _convolution(module.second)
        return lambda x: _rectified(x + second(_rectified(first(x))))
    if isinstance(module, nn.Linear):
        weight, bias = _array(module.weight.T), _array(module.bias)
        return lambda x: x.dot(weight) + bias
    if isinstance(module, nn.Flatten):  # torch's order: all places of a channel, then those of the next
        return lambda x: x.transpose(0, 2, 1).reshape(len(x), -1)
    assert isinstance(module, nn.ReLU), f"{type(module).__name__} is not written out"
    return _rectified


def _convolution(module: Convolution) -> Layer:
    # A matrix product with the C * K values under each place of the kernel, which lie next to one another in memory.
    norm, filters = module.norm, module.filters
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    outputs, channels, width = filters.weight.shape
    weight = _array((filters.weight * scale[:, None, None]).permute(2, 1, 0).reshape(width * channels, outputs))
    bias = _array(norm.bias - norm.running_mean * scale)
    (stride,), (edge,) = filters.stride, filters.kernel_size
    edge //= 2

    def apply(x: Activations) -> Activations:
        count, places, _ = x.shape
        padded = np.zeros((count, places + 2 * edge, channels), np.float32)
        padded[:, edge : edge + places] = x
        whole, along, single = padded.strides
        kept = (places - 1) // stride + 1
        under = np.lib.stride_tricks.as_strided(
            padded, (count, kept, width * channels), (whole, stride * along, single), writeable=False
        )
        product: Activations = under.reshape(-1, width * channels).dot(weight)
        product += bias
        return product.reshape(count, kept, outputs)

    return apply


def _rectified(x: Activations) -> Activations:
    rectified: Activations = np.maximum(x, 0.0, out=x)
    return rectified


def _array(weights: Tensor) -> NDArray[np.float32]:
    copied: NDArray[np.float32] = np.array(weights.detach().cpu().numpy(), order="C")
    return copied
