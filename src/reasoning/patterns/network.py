"""A small convolutional network that names the chart pattern in a window, and what it sees of one.

A window of any length is resampled to 64 points and standardised, so neither price nor bar length nor height matters.
Training lives in `training.py`, the module that slides over a series in `pattern_recognizer.py`; what that one
computes with is `numpy_network.py`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from src.market.bars import FloatArray
from src.reasoning.patterns.generator import WINDOW_BARS
from src.reasoning.patterns.shapes import NONE, PATTERNS

VERSION = 1  # raise it whenever inputs, generator or layers change: weights trained on the old ones are then refused
_STEP_SCALE = 3.0  # a bar's change of a standardised window is about a third
_FLAT = 1e-9  # log range below which a window shows nothing
_DROPOUT = 0.1
_HIDDEN = 64
WALKS = 4096  # how many random walks of each length tell the rate of false positives


def window_inputs(windows: FloatArray) -> Tensor:
    """Return what the network sees of windows of log prices, (N, T) -> (N, 2, 64); see `standardised_windows`."""
    return torch.from_numpy(standardised_windows([windows]))


def standardised_windows(tables: Sequence[FloatArray]) -> NDArray[np.float32]:
    """Return the standardised level and change of windows of log prices in tables (N, T), (M, 2, 64) in their order.

    Other lengths than 64 are resampled along straight lines between bars, the ends kept. No row depends on another; a
    flat one, and no other, is all 0.
    """
    levels = np.concatenate([_resampled(table) for table in tables])
    is_flat = np.concatenate([np.ptp(table, axis=1) <= _FLAT for table in tables])
    levels = levels - levels.mean(axis=1, keepdims=True)
    size = levels.std(axis=1, keepdims=True)
    seen = np.zeros((len(levels), 2, WINDOW_BARS), np.float32)
    np.divide(levels, size, out=levels, where=~is_flat[:, None])
    levels[is_flat] = 0.0
    seen[:, 0], seen[:, 1, 1:] = levels, _STEP_SCALE * (levels[:, 1:] - levels[:, :-1])
    return seen


def _resampled(windows: FloatArray) -> FloatArray:
    bars = windows.shape[1]
    if bars == WINDOW_BARS:
        return windows
    left, share = _places(bars)
    resampled: FloatArray = (1 - share) * windows[:, left] + share * windows[:, left + 1]
    return resampled


@lru_cache(maxsize=64)
def _places(bars: int) -> tuple[NDArray[np.int64], FloatArray]:
    # Of the 64 points among the bars: the bar before each, and how far it lies towards the next.
    place = np.linspace(0, bars - 1, WINDOW_BARS)
    left = np.minimum(place.astype(np.int64), bars - 2)
    return left, place - left


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
            Convolution(2, width, kernel=7, stride=2),
            nn.ReLU(),
            Convolution(width, 2 * width, kernel=5, stride=2),
            nn.ReLU(),
            Residual(2 * width),
            Convolution(2 * width, 2 * width, kernel=3, stride=2),
            nn.ReLU(),
            Residual(2 * width),
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
        """Rebuild a trained network from its state dict, (...) each; draws no random numbers."""
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
            seen = torch.from_numpy(standardised_windows(windows))
            probabilities: FloatArray = (self(seen) / self.temperature).double().softmax(-1).numpy()
        probabilities[~seen.any(-1).any(-1).numpy()] = np.eye(len(PATTERNS))[NONE]
        return probabilities

    def false_positives(self, threshold: float) -> FloatArray:
        """Return the share of random walks in which each scale sees a pattern at a threshold, (S,)."""
        rates: FloatArray = (self.seen_in_walks >= threshold).double().mean(-1).numpy()
        return rates


def detected_patterns(probabilities: FloatArray, threshold: float) -> NDArray[np.int64]:
    """Return the likeliest pattern of each row (N, 8) where all of them together reach the threshold, else none."""
    likeliest = probabilities[:, 1:].argmax(axis=1) + 1
    seen: NDArray[np.int64] = np.where(1 - probabilities[:, 0] >= threshold, likeliest, 0)
    return seen


class Convolution(nn.Module):
    """A convolution and its normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.filters = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, T) -> (N, outputs, T / stride)."""
        normed: Tensor = self.norm(self.filters(x))
        return normed


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = Convolution(width, width, kernel=3)
        self.second = Convolution(width, width, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, T) in the same shape."""
        added: Tensor = (x + self.second(self.first(x).relu())).relu()
        return added
