"""The turning points of chart patterns, and of what only resembles them.

A shape is a handful of levels joined by a line. The definitions are geometric (what Lo, Mamaysky & Wang 2000 write
down, with room for the untidiness of a chart) and know nothing of any detector. Near misses break exactly one clause
each: shoulders too unequal, a dip too shallow, tops that rise.
Drawing the line between the levels, noise and time are `generator.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray

PATTERNS = (
    "none",
    "head_and_shoulders",
    "inverse_head_and_shoulders",
    "double_top",
    "double_bottom",
    "triangle",
    "broadening",
    "rectangle",
)
(
    NONE,
    HEAD_AND_SHOULDERS,
    INVERSE_HEAD_AND_SHOULDERS,
    DOUBLE_TOP,
    DOUBLE_BOTTOM,
    TRIANGLE,
    BROADENING,
    RECTANGLE,
) = range(8)
MIRRORED = (0, 2, 1, 4, 3, 5, 6, 7)  # what each pattern is upside down
MOST_KNOTS = 7
_KNOT_JITTER = 0.03


class Shapes(NamedTuple):
    """Turning points of n shapes, first to last, scaled to a range of 1.

    Attributes:
        levels: (n, 7); entries past `knots` repeat the last.
        knots: (n,) how many there are.
    """

    levels: FloatArray
    knots: NDArray[np.int64]


def pattern_shapes(pattern: int, count: int, rng: np.random.Generator) -> Shapes:
    """Draw turning points of a pattern other than `NONE`."""
    if pattern == NONE:
        raise ValueError("'none' has no shape of its own; see near_misses")
    draw, sign = _SHAPES[pattern]
    shapes = draw(count, rng)
    return _to_unit_range(Shapes(sign * shapes.levels, shapes.knots))


def near_misses(count: int, rng: np.random.Generator) -> Shapes:
    """Draw shapes that are no pattern, each kind as often as the others, half of them upside down."""
    kind = rng.integers(len(_NEAR_MISSES), size=count)
    levels, knots = np.empty((count, MOST_KNOTS)), np.empty(count, np.int64)
    for index, draw in enumerate(_NEAR_MISSES):
        rows = np.flatnonzero(kind == index)
        levels[rows], knots[rows] = draw(len(rows), rng)
    levels += rng.normal(0.0, _KNOT_JITTER, levels.shape)
    return _to_unit_range(Shapes(levels * rng.choice([-1.0, 1.0], (count, 1)), knots))


def _head_and_shoulders(n: int, rng: np.random.Generator) -> Shapes:
    shoulder, trough = rng.uniform(0.5, 0.75, n), rng.uniform(0.15, 0.35, n)
    return _joined(
        rng.uniform(-0.1, 0.1, n),
        shoulder,
        trough,
        np.ones(n),
        trough + rng.uniform(-0.07, 0.07, n),
        shoulder + rng.uniform(-0.07, 0.07, n),
        rng.uniform(-0.1, 0.15, n),
    )


def _double_top(n: int, rng: np.random.Generator) -> Shapes:
    return _joined(
        rng.uniform(-0.1, 0.25, n),
        np.ones(n),
        rng.uniform(0.35, 0.7, n),
        1 + rng.uniform(-0.05, 0.05, n),
        rng.uniform(-0.05, 0.3, n),
    )


def _triangle(n: int, rng: np.random.Generator) -> Shapes:
    # Turns on two lines that meet: the swing shrinks evenly to 12 to 30 %, and the whole may lean a little.
    knots = rng.integers(5, MOST_KNOTS + 1, (n, 1))
    turn = np.arange(MOST_KNOTS)
    swing = 1 + (rng.uniform(0.12, 0.3, (n, 1)) - 1) * turn / (knots - 1)
    swing = swing * rng.uniform(0.92, 1.08, (n, MOST_KNOTS)) * rng.choice([-0.5, 0.5], (n, 1))
    return Shapes((-1.0) ** turn * swing + rng.uniform(-0.08, 0.08, (n, 1)) * turn / knots, knots[:, 0])


def _broadening(n: int, rng: np.random.Generator) -> Shapes:
    levels, knots = _triangle(n, rng)
    backwards = np.maximum(knots[:, None] - 1 - np.arange(MOST_KNOTS), 0)
    return Shapes(np.take_along_axis(levels, backwards, axis=1), knots)


def _rectangle(n: int, rng: np.random.Generator) -> Shapes:
    side = (np.arange(MOST_KNOTS) + rng.integers(2, size=(n, 1))) % 2
    return Shapes(side + rng.uniform(-0.06, 0.06, (n, MOST_KNOTS)), rng.integers(5, MOST_KNOTS + 1, n))


def _rising_peaks(n: int, rng: np.random.Generator) -> Shapes:
    return _fixed(n, (0, 0.45, 0.25, 0.7, 0.5, 1, 0.8))


def _unequal_shoulders(n: int, rng: np.random.Generator) -> Shapes:
    # One shoulder low and one high, or the left one all but as high as the head.
    levels = _fixed(n, (0, 0.35, 0.1, 1, 0.15, 0.35, 0)).levels
    high, tall = 0.35 + rng.uniform(0.3, 0.5, n), rng.random(n) < 0.5
    left = rng.random(n) < 0.5
    levels[:, 1] = np.where(tall, 0.9, np.where(left, high, 0.35))
    levels[:, 5] = np.where(tall | ~left, high, 0.35)
    return Shapes(levels, np.full(n, 7))


def _unequal_tops(n: int, rng: np.random.Generator) -> Shapes:
    lower, first = 1 - rng.uniform(0.25, 0.45, n), rng.random(n) < 0.5
    zero, one = np.zeros(n), np.ones(n)
    return _joined(
        zero,
        np.where(first, one, lower),
        np.where(first, 0.45, 0.3),
        np.where(first, lower, one),
        np.where(first, 0.0, 0.1),
    )


def _single_peak(n: int, rng: np.random.Generator) -> Shapes:
    return _joined(np.zeros(n), np.ones(n), rng.uniform(0.0, 0.4, n))


def _steep_channel(n: int, rng: np.random.Generator) -> Shapes:
    return _fixed(n, (0, 0.78, 0.56, 1.34, 1.12, 1.9))


def _shallow_dip(n: int, rng: np.random.Generator) -> Shapes:
    one = np.ones(n)
    return _joined(0 * one, one, rng.uniform(0.82, 0.9, n), one, 0 * one)


_Draw = Callable[[int, np.random.Generator], Shapes]
_SHAPES: dict[int, tuple[_Draw, float]] = {
    HEAD_AND_SHOULDERS: (_head_and_shoulders, 1.0),
    INVERSE_HEAD_AND_SHOULDERS: (_head_and_shoulders, -1.0),
    DOUBLE_TOP: (_double_top, 1.0),
    DOUBLE_BOTTOM: (_double_top, -1.0),
    TRIANGLE: (_triangle, 1.0),
    BROADENING: (_broadening, 1.0),
    RECTANGLE: (_rectangle, 1.0),
}
_NEAR_MISSES: tuple[_Draw, ...] = (
    _rising_peaks,
    _unequal_shoulders,
    _unequal_tops,
    _single_peak,
    _steep_channel,
    _shallow_dip,
)


def _joined(*columns: FloatArray) -> Shapes:
    knots = len(columns)
    padded = columns + (columns[-1],) * (MOST_KNOTS - knots)
    return Shapes(np.stack(padded, axis=1), np.full(len(columns[0]), knots))


def _fixed(n: int, levels: Sequence[float]) -> Shapes:
    return _joined(*(np.full(n, float(level)) for level in levels))


def _to_unit_range(shapes: Shapes) -> Shapes:
    last = np.minimum(np.arange(MOST_KNOTS), shapes.knots[:, None] - 1)
    levels = np.take_along_axis(shapes.levels, last, axis=1)
    return Shapes(levels / np.ptp(levels, axis=1, keepdims=True), shapes.knots)
