"""Generated stretches of price that hold a known chart pattern, or none.

A shape (`shapes.py`) is stretched over 62 to 100 % of the window with turns at random times, joined by lines
between straight and sine-shaped, continued by a walk on both sides, and buried in noise: an independent error per bar
plus a slow walk, both in proportion to the pattern's height. What is none: walks with and without drift, a price that
keeps returning to its mean, and near misses.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.reasoning.patterns.shapes import MOST_KNOTS, NONE, PATTERNS, Shapes, near_misses, pattern_shapes

WINDOW_BARS = 64
NOISE = {"easy": 0.03, "medium": 0.07, "hard": 0.12}  # of the pattern's height
_SHORTEST_LEG = 4.0  # bars of a window of 64
_SIDE_STEP = 0.03  # what a bar before or after the pattern moves, in pattern heights, in a window of 64
_WALK_SHARE = 0.177  # of the noise: what the slow walk adds per bar, in a window of 64
_LOG_HEIGHT, _LOG_HEIGHT_SPREAD = np.log(0.08), 0.5  # a pattern is about 8 % of the price high


class LabelledWindows(NamedTuple):
    """Log prices (N, T), and the index into `PATTERNS` of each, (N,)."""

    prices: FloatArray
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PatternMix:
    """What windows are drawn.

    Attributes:
        none_frac: share without a pattern; the seven patterns share the rest evenly.
        walk_frac: of those, the share that walks or reverts to a mean, with noise on top; the rest are near misses.
        pure_walk_frac: of those without a pattern, the share that is a walk and nothing else.
        noise_memory: most that an error keeps of the one before it; each window draws its own.
    """

    none_frac: float = 0.3
    walk_frac: float = 1 / 3
    pure_walk_frac: float = 0.0
    noise_memory: float = 0.0

    def draw(
        self, count: int, noise: float | tuple[float, float], rng: np.random.Generator, bars: int = WINDOW_BARS
    ) -> LabelledWindows:
        """Draw independent windows.

        Args:
            noise: in pattern heights, or the bounds of what each window draws for itself.
            bars: T, at least 16.
        """
        low, high = noise if isinstance(noise, tuple) else (noise, noise)
        pattern = rng.integers(1, len(PATTERNS), count)
        labels = np.where(rng.random(count) < self.none_frac, NONE, pattern)
        levels = np.empty((count, bars))
        for label in range(1, len(PATTERNS)):
            rows = np.flatnonzero(labels == label)
            levels[rows] = _rendered(pattern_shapes(label, len(rows), rng), bars, rng)
        none = np.flatnonzero(labels == NONE)
        walks = rng.random(len(none)) < self.walk_frac
        levels[none[walks]] = _wandering(int(walks.sum()), bars, rng)
        levels[none[~walks]] = _rendered(near_misses(int((~walks).sum()), rng), bars, rng)
        levels += _noise(rng.uniform(low, high, (count, 1)), self.noise_memory * rng.random(count), bars, rng)
        pure = none[rng.random(len(none)) < self.pure_walk_frac]
        levels[pure] = unit_range(random_walks(len(pure), bars, rng))
        heights = np.exp(rng.normal(_LOG_HEIGHT, _LOG_HEIGHT_SPREAD, (count, 1)))
        return LabelledWindows(np.log(100.0) + heights * levels, labels)


STANDARD_MIX = PatternMix()


def random_walks(count: int, bars: int, rng: np.random.Generator) -> FloatArray:
    """Return `count` driftless Gaussian walks of `bars` unit steps, (N, T)."""
    walks: FloatArray = rng.standard_normal((count, bars)).cumsum(axis=1)
    return walks


def unit_range(windows: FloatArray) -> FloatArray:
    """Return windows (N, T) scaled to a range of 1 each."""
    scaled: FloatArray = windows / np.ptp(windows, axis=1, keepdims=True)
    return scaled


def _wandering(count: int, bars: int, rng: np.random.Generator) -> FloatArray:
    # A third each: a walk, a walk with drift, a price that returns to its mean.
    kind = rng.integers(3, size=(count, 1))
    shocks = rng.standard_normal((count, bars))
    drift = rng.choice([-1.0, 1.0], (count, 1)) * rng.uniform(0.2, 0.6, (count, 1)) * (kind == 1)
    keep = np.where(kind == 2, rng.uniform(0.6, 0.95, (count, 1)), 1.0)[:, 0]
    levels = np.empty((count, bars))
    level = np.zeros(count)
    for bar in range(bars):
        level = keep * level + shocks[:, bar] + drift[:, 0]
        levels[:, bar] = level
    return unit_range(levels)


def _rendered(shapes: Shapes, bars: int, rng: np.random.Generator) -> FloatArray:
    # The line through the turning points, (N, T), and what leads to it and away from it.
    count = len(shapes.levels)
    length = np.round(bars * rng.uniform(0.62, 1.0, count)).astype(np.int64)
    start = rng.integers(0, bars - length + 1)
    bar = np.arange(bars) - start[:, None]
    inside = np.clip(bar, 0, length[:, None] - 1)
    level = _joined_up(shapes, _turn_times(shapes.knots, length, bars, rng), inside, rng.random((count, 1)))
    step = _SIDE_STEP * np.sqrt(WINDOW_BARS / bars)
    walk = rng.normal(0.0, step, (count, bars)).cumsum(axis=1)
    aside = walk - np.take_along_axis(walk, start[:, None] + inside, axis=1)
    approach = np.sign(shapes.levels[:, 1] - shapes.levels[:, 0])[:, None] * _SIDE_STEP * WINDOW_BARS / bars
    rendered: FloatArray = level + aside + approach * np.minimum(bar, 0)
    return rendered


def _turn_times(knots: NDArray[np.int64], length: NDArray[np.int64], bars: int, rng: np.random.Generator) -> FloatArray:
    # Bars of the turns, (N, K) from 0 to length - 1; legs differ in length, but none is shorter than a sixteenth.
    legs = rng.gamma(6.0, size=(len(knots), MOST_KNOTS - 1)) * (np.arange(MOST_KNOTS - 1) < (knots - 1)[:, None])
    shortest = _SHORTEST_LEG * bars / WINDOW_BARS
    spare = (length - 1 - shortest * (knots - 1))[:, None]
    legs = legs / legs.sum(axis=1, keepdims=True) * spare + shortest
    times = np.concatenate([np.zeros((len(knots), 1)), legs.cumsum(axis=1)], axis=1)
    turns: FloatArray = np.minimum(times, (length - 1)[:, None])
    return turns


def _joined_up(shapes: Shapes, times: FloatArray, bar: NDArray[np.int64], straight: FloatArray) -> FloatArray:
    # Between two turns, a mix of a straight line and half a cosine.
    leg = (bar[:, :, None] >= times[:, None, 1:]).sum(axis=2)
    leg = np.minimum(leg, shapes.knots[:, None] - 2)
    began, ends = np.take_along_axis(times, leg, axis=1), np.take_along_axis(times, leg + 1, axis=1)
    way = (bar - began) / (ends - began)
    way = straight * way + (1 - straight) * (1 - np.cos(np.pi * way)) / 2
    low, high = np.take_along_axis(shapes.levels, leg, axis=1), np.take_along_axis(shapes.levels, leg + 1, axis=1)
    line: FloatArray = low + (high - low) * way
    return line


def _noise(size: FloatArray, memory: FloatArray, bars: int, rng: np.random.Generator) -> FloatArray:
    step = _WALK_SHARE * np.sqrt(WINDOW_BARS / bars)
    shocks, steps = rng.standard_normal((2, len(size), bars))
    noise: FloatArray = size * (_autoregressive(shocks, memory) + step * steps.cumsum(axis=1))
    return noise


def _autoregressive(shocks: FloatArray, memory: FloatArray) -> FloatArray:
    # Unit variance throughout: the first error is drawn from the stationary law.
    if not memory.any():
        return shocks
    errors, fresh = np.empty_like(shocks), np.sqrt(1 - memory**2)
    errors[:, 0] = shocks[:, 0]
    for bar in range(1, shocks.shape[1]):
        errors[:, bar] = memory * errors[:, bar - 1] + fresh * shocks[:, bar]
    return errors
