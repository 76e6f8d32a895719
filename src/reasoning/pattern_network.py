"""A small convolutional network that names the chart pattern in a window, and what it sees of one.

A window of any length is resampled to 64 points and standardised, so neither price nor bar length nor height matters.
Training lives in `pattern_training.py`, the module that slides over a series in `pattern_recognizer.py`.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from src.market.bars import FloatArray
from src.reasoning.pattern_market import WINDOW_BARS
from src.reasoning.pattern_shapes import NONE, PATTERNS

VERSION = 1  # raise it whenever inputs, generator or layers change: weights trained on the old ones are then refused
_STEP_SCALE = 3.0  # a bar's change of a standardised window is about a third
_FLAT = 1e-9  # log range below which a window shows nothing
_DROPOUT = 0.1
_HIDDEN = 64
WALKS = 4096  # how many random walks of each length tell the rate of false positives


def window_inputs(windows: FloatArray) -> Tensor:
    """Return what the network sees of windows of log prices, (N, T) -> (N, 2, 64): standardised level and change.

    Other lengths than 64 are resampled along straight lines between bars, the ends kept. No row depends on another; a
    flat one is all 0.
    """
    levels = _resampled(windows)
    levels = levels - levels.mean(axis=1, keepdims=True)
    size = levels.std(axis=1, keepdims=True)
    levels = np.where(is_flat(windows)[:, None], 0.0, levels / np.maximum(size, 1e-30))
    changes = np.diff(levels, axis=1, prepend=levels[:, :1])
    return torch.from_numpy(np.stack([levels, _STEP_SCALE * changes], axis=1).astype(np.float32))


def is_flat(windows: FloatArray) -> NDArray[np.bool_]:
    """Say which windows of log prices (N, T) stand still, (N,)."""
    still: NDArray[np.bool_] = np.ptp(windows, axis=1) <= _FLAT
    return still


def _resampled(windows: FloatArray) -> FloatArray:
    bars = windows.shape[1]
    if bars == WINDOW_BARS:
        return windows
    place = np.linspace(0, bars - 1, WINDOW_BARS)
    left = np.minimum(place.astype(np.int64), bars - 2)
    share = place - left
    resampled: FloatArray = (1 - share) * windows[:, left] + share * windows[:, left + 1]
    return resampled


class PatternNetwork(nn.Module):
    """Scores of the eight patterns, (N, 2, 64) -> (N, 8), and how far to trust them.

    Three convolutions halve time each and double the width once, two residual blocks (He et al. 2016,
    arXiv 1512.03385) after the last two; a hidden layer over all eight places follows, as where a turn lies tells
    patterns apart and an average over time would forget it.

    Training measures two things besides: `temperature`, which divides the scores, and `seen_in_walks` (S, M), the
    probability of any pattern in M random walks as long as each of the S scales.
    """

    temperature: Tensor
    seen_in_walks: Tensor

    def __init__(self, width: int, scales: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Convolution(2, width, kernel=7, stride=2),
            nn.ReLU(),
            _Convolution(width, 2 * width, kernel=5, stride=2),
            nn.ReLU(),
            _Residual(2 * width),
            _Convolution(2 * width, 2 * width, kernel=3, stride=2),
            nn.ReLU(),
            _Residual(2 * width),
            nn.Flatten(),
            nn.Dropout(_DROPOUT),
            nn.Linear(2 * width * WINDOW_BARS // 8, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, len(PATTERNS)),
        )
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("seen_in_walks", torch.zeros(scales, WALKS))

    @classmethod
    def from_weights(cls, weights: Mapping[str, Tensor]) -> "PatternNetwork":
        """Rebuild a trained network from its state dict; draws no random numbers."""
        with torch.device("meta"):
            network = cls(width=len(weights["layers.0.filters.weight"]), scales=len(weights["seen_in_walks"]))
        network.load_state_dict(dict(weights), assign=True)
        return network.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (N, 8) of windows (N, 2, 64), not divided by the temperature."""
        assert x.dim() == 3, f"expected (N, 2, 64), got {tuple(x.shape)}"
        scores: Tensor = self.layers(x)
        return scores

    def probabilities(self, windows: Sequence[FloatArray]) -> FloatArray:
        """Return the calibrated probability of each pattern in windows of log prices, (M, 8) float64 in their order.

        Args:
            windows: tables (N, T) of any lengths; all are read at once. One that stands still is none.
        """
        with torch.no_grad():
            scores = self(torch.cat([window_inputs(table) for table in windows])) / self.temperature
        probabilities: FloatArray = scores.double().softmax(-1).numpy()
        probabilities[np.concatenate([is_flat(table) for table in windows])] = np.eye(len(PATTERNS))[NONE]
        return probabilities

    def fused(self) -> "PatternNetwork":
        """Return a copy for use only, in which every convolution has taken in the normalisation that follows it."""
        copied = deepcopy(self).eval()
        for module in copied.modules():
            if isinstance(module, _Convolution):
                module.fuse()
        return copied.requires_grad_(False)

    def false_positives(self, threshold: float) -> FloatArray:
        """Return the share of random walks in which each scale sees a pattern at a threshold, (S,)."""
        rates: FloatArray = (self.seen_in_walks >= threshold).double().mean(-1).numpy()
        return rates


def named(probabilities: FloatArray, threshold: float) -> NDArray[np.int64]:
    """Return the likeliest pattern of each row (N, 8) where all of them together reach the threshold, else none."""
    likeliest = probabilities[:, 1:].argmax(axis=1) + 1
    seen: NDArray[np.int64] = np.where(1 - probabilities[:, 0] >= threshold, likeliest, 0)
    return seen


class _Convolution(nn.Module):
    # A convolution and its normalisation.
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.filters = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm: nn.BatchNorm1d | nn.Identity = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.filters(x))
        return normed

    def fuse(self) -> None:
        assert isinstance(self.norm, nn.BatchNorm1d), "a convolution is fused once"
        self.filters = fuse_conv_bn_eval(self.filters, self.norm)
        self.norm = nn.Identity()


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _Convolution(width, width, kernel=3)
        self.second = _Convolution(width, width, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = (x + self.second(self.first(x).relu())).relu()
        return added
