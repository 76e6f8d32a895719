"""Chart patterns by rules on the turns of a smoothed price (Lo, Mamaysky & Wang 2000, "Foundations of Technical
Analysis", Journal of Finance 55, section II).

A Gaussian kernel regression smooths the window; its local extrema, five in a row, are held against the definitions.
Where we depart: tolerances are fractions of the window's range instead of the price, so that a pattern has no scale;
the bandwidth is fixed instead of 0.3 times the cross-validated one, which on our noise leaves too many turns; the
head must stand clear of the shoulders; of several matches the one that covers most of the window counts, and a double
top only where no five turns match.
The control of the network (`network.py`), and the second opinion on real charts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.reasoning.patterns.shapes import (
    BROADENING,
    DOUBLE_BOTTOM,
    DOUBLE_TOP,
    HEAD_AND_SHOULDERS,
    INVERSE_HEAD_AND_SHOULDERS,
    NONE,
    RECTANGLE,
    TRIANGLE,
)


class Turn(NamedTuple):
    """A local extremum of the smoothed price."""

    bar: int
    level: float
    is_top: bool


class Match(NamedTuple):
    """A pattern, and how much of the window it covers: share of bars times share of range."""

    pattern: int
    cover: float


@dataclass(frozen=True)
class ExtremaRules:
    """The rules. Tolerances are fractions of the window's range, distances from the mean of what should be equal.

    Attributes:
        bandwidth: of the kernel, in 64ths of the window.
        level_tolerance: of shoulders, necks and double tops.
        flat_tolerance: of the tops and of the bottoms of a rectangle.
        least_height: of five turns.
        least_gap: between double tops, in windows.
    """

    bandwidth: float = 1.5
    level_tolerance: float = 0.08
    flat_tolerance: float = 0.10
    least_height: float = 0.3
    least_gap: float = 0.125

    def classify(self, windows: FloatArray) -> NDArray[np.int64]:
        """Return the index into `PATTERNS` of each window of log prices, (N, T) -> (N,); a flat one is none."""
        smooth = windows @ _kernel(windows.shape[1], self.bandwidth * windows.shape[1] / 64).T
        return np.array([self._classify(line) for line in smooth], np.int64)

    def _classify(self, line: FloatArray) -> int:
        size = float(np.ptp(line))
        if size <= 1e-9:
            return NONE
        turns = turning_points((line - line.min()) / size)
        matches = list(self._of_five(turns, len(line))) or list(self._doubles(turns, len(line)))
        return max(matches, key=lambda match: match.cover, default=Match(NONE, 0.0)).pattern

    def _of_five(self, turns: list[Turn], bars: int) -> Iterator[Match]:
        for first in range(len(turns) - 4):
            five = turns[first : first + 5]
            levels = np.array([turn.level for turn in five])
            height = float(np.ptp(levels))
            if height < self.least_height:
                continue
            upright = levels if five[0].is_top else -levels
            pattern = self._named(upright)
            if pattern != NONE:
                mirrored = pattern == HEAD_AND_SHOULDERS and not five[0].is_top
                cover = height * (five[-1].bar - five[0].bar) / bars
                yield Match(INVERSE_HEAD_AND_SHOULDERS if mirrored else pattern, cover)

    def _named(self, levels: FloatArray) -> int:
        # Five turns seen so that the first is a top; upside down where it was a bottom.
        tops, bottoms = levels[0::2], levels[1::2]
        is_head = levels[2] > max(levels[0], levels[4]) and not _level(tops, self.flat_tolerance)
        if is_head and _level(levels[[0, 4]], self.level_tolerance) and _level(bottoms, self.level_tolerance):
            return HEAD_AND_SHOULDERS
        if _level(tops, self.flat_tolerance) and _level(bottoms, self.flat_tolerance) and tops.min() > bottoms.max():
            return RECTANGLE
        if tops[0] > tops[1] > tops[2] and bottoms[0] < bottoms[1]:
            return TRIANGLE
        if tops[0] < tops[1] < tops[2] and bottoms[0] > bottoms[1]:
            return BROADENING
        return NONE

    def _doubles(self, turns: list[Turn], bars: int) -> Iterator[Match]:
        # The two highest tops, level and apart, with a real dip between them; and the same upside down.
        for pattern, sign in ((DOUBLE_TOP, 1.0), (DOUBLE_BOTTOM, -1.0)):
            ranked = sorted((t for t in turns if t.is_top == (sign > 0)), key=lambda turn: -sign * turn.level)
            if len(ranked) < 2:
                continue
            first, second = sorted(ranked[:2])
            between = [sign * turn.level for turn in turns if first.bar < turn.bar < second.bar]
            dip = min(sign * first.level, sign * second.level) - min(between)
            is_apart = second.bar - first.bar >= self.least_gap * bars
            if is_apart and dip >= self.least_height and _level([first.level, second.level], self.level_tolerance):
                yield Match(pattern, 0.5 * dip)


def turning_points(line: FloatArray) -> list[Turn]:
    """Return the local extrema inside a line, (T,), in order of time, tops and bottoms by turns.

    Of a level stretch the first bar counts.
    """
    step = np.sign(np.diff(line))
    moved = np.flatnonzero(step)
    turned = moved[:-1][step[moved[1:]] != step[moved[:-1]]]
    return [Turn(int(bar) + 1, float(line[bar + 1]), bool(step[bar] > 0)) for bar in turned]


def _level(levels: FloatArray | list[float], tolerance: float) -> bool:
    values = np.asarray(levels)
    return bool(np.abs(values - values.mean()).max() <= tolerance)


@lru_cache(maxsize=16)
def _kernel(bars: int, bandwidth: float) -> FloatArray:
    # Nadaraya-Watson weights, (T, T): row t smooths bar t.
    distance = np.subtract.outer(np.arange(bars), np.arange(bars)) / bandwidth
    weights = np.exp(-0.5 * distance**2)
    normalised: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return normalised
