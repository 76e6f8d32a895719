"""Generated chart patterns: do the labels say what the geometry shows, and are the draws what they claim to be?"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import argrelextrema

from src.market.bars import FloatArray
from src.reasoning.patterns.generator import STANDARD_MIX, PatternMix, random_walks
from src.reasoning.patterns.shapes import (
    BROADENING,
    DOUBLE_BOTTOM,
    DOUBLE_TOP,
    HEAD_AND_SHOULDERS,
    INVERSE_HEAD_AND_SHOULDERS,
    MIRRORED,
    NONE,
    PATTERNS,
    RECTANGLE,
    TRIANGLE,
    near_misses,
    pattern_shapes,
)

ONLY_PATTERNS = PatternMix(none_frac=0.0)


def inner_turns(levels: FloatArray) -> FloatArray:
    """Levels of the local extrema, from a library that knows nothing of patterns."""
    tops, bottoms = argrelextrema(levels, np.greater)[0], argrelextrema(levels, np.less)[0]
    return levels[np.sort(np.concatenate([tops, bottoms]))]


def geometry_of(pattern: int, levels: FloatArray) -> bool:
    """The textbook's words, on levels scaled to a range of 1."""
    upright = -levels if pattern in (INVERSE_HEAD_AND_SHOULDERS, DOUBLE_BOTTOM) else levels
    turns = inner_turns(upright)
    if pattern in (HEAD_AND_SHOULDERS, INVERSE_HEAD_AND_SHOULDERS):
        left, neck, head, other_neck, right = turns
        higher = head - max(left, right)
        return bool(
            higher > 0.15 and abs(left - right) < 0.1 and abs(neck - other_neck) < 0.1 and min(left, right) > neck
        )
    if pattern in (DOUBLE_TOP, DOUBLE_BOTTOM):
        first, dip, second = turns
        is_deep = max(first, second) - dip > 0.25 and dip > max(upright[0], upright[-1])
        return bool(abs(first - second) < 0.08 and is_deep)
    swings = np.abs(np.diff(levels))
    if pattern == TRIANGLE:
        return bool((np.diff(swings) < 0).all() and swings[-1] < 0.6 * swings[0])
    if pattern == BROADENING:
        return bool((np.diff(swings) > 0).all() and swings[0] < 0.6 * swings[-1])
    assert pattern == RECTANGLE
    middle = (levels.max() + levels.min()) / 2
    return bool(np.ptp(levels[levels > middle]) < 0.13 and np.ptp(levels[levels < middle]) < 0.13 and len(levels) >= 5)


@pytest.mark.parametrize("pattern", range(1, 8), ids=PATTERNS[1:])
def test_turning_points_are_what_the_textbook_calls_the_pattern(pattern: int) -> None:
    shapes = pattern_shapes(pattern, 500, np.random.default_rng(pattern))
    drawn = [levels[:knots] for levels, knots in zip(shapes.levels, shapes.knots.tolist(), strict=True)]
    np.testing.assert_allclose([np.ptp(levels) for levels in drawn], 1.0)
    assert all(geometry_of(pattern, levels) for levels in drawn)


def test_near_misses_break_the_words() -> None:
    # None of them passes as a head and shoulders, a double or a rectangle with as many turns as those have.
    shapes = near_misses(3000, np.random.default_rng(0))
    passing = 0
    for levels, knots in zip(shapes.levels, shapes.knots.tolist(), strict=True):
        turns = len(inner_turns(levels[:knots]))
        five = [HEAD_AND_SHOULDERS, INVERSE_HEAD_AND_SHOULDERS] if turns == 5 and knots == 7 else []
        three = [DOUBLE_TOP, DOUBLE_BOTTOM] if turns == 3 and knots == 5 else []
        passing += any(geometry_of(pattern, levels[:knots]) for pattern in five + three)
    assert passing / 3000 < 0.01  # what is left is the jitter that levels two unequal shoulders


@pytest.mark.parametrize("bars", [24, 64, 192])
def test_a_clean_window_turns_where_its_shape_turns(bars: int) -> None:
    # Without noise, the line has exactly the inner turns of a head and shoulders within the stretch it covers.
    windows = ONLY_PATTERNS.draw(400, 0.0, np.random.default_rng(3), bars)
    for prices in windows.prices[windows.labels == HEAD_AND_SHOULDERS]:
        scaled = (prices - prices.min()) / np.ptp(prices)
        peaks = np.sort(inner_turns(scaled))
        assert peaks[-1] > 0.99 or scaled.argmax() in (0, bars - 1)
        assert len(peaks) >= 5


def test_the_classes_come_as_often_as_asked_for() -> None:
    labels = STANDARD_MIX.draw(8000, (0.03, 0.12), np.random.default_rng(1)).labels
    shares = np.bincount(labels, minlength=8) / 8000
    np.testing.assert_allclose(shares, [0.3] + [0.1] * 7, atol=4 * np.sqrt(0.3 * 0.7 / 8000))


def test_noise_is_in_pattern_heights() -> None:
    # Differences of independent errors of size s spread by s * sqrt(2); the clean line adds what it adds at s = 0.
    def roughness(noise: float) -> float:
        prices = ONLY_PATTERNS.draw(3000, noise, np.random.default_rng(2)).prices
        heights = np.ptp(ONLY_PATTERNS.draw(3000, 0.0, np.random.default_rng(2)).prices, axis=1)
        return float(np.mean((np.diff(prices, n=2, axis=1) / heights[:, None]) ** 2))

    # Second differences: white errors give 6 s^2, steps of the slow walk 2 (0.177 s)^2.
    gained = roughness(0.12) - roughness(0.0)
    heights_differ = 0.1  # the sides of a clean window reach beyond the pattern's own height
    assert gained == pytest.approx((6 + 2 * 0.177**2) * 0.12**2, rel=0.15 + heights_differ)


def test_same_stream_same_windows_and_memory_makes_errors_alike() -> None:
    first, again = (STANDARD_MIX.draw(50, 0.07, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.prices, again.prices)
    assert np.array_equal(first.labels, again.labels)

    def change(memory: float) -> float:
        mix = PatternMix(none_frac=0.0, noise_memory=memory)
        return float(np.abs(np.diff(mix.draw(2000, 0.12, np.random.default_rng(6)).prices, axis=1)).mean())

    assert change(0.9) < 0.9 * change(0.0)


def test_pure_walks_are_walks() -> None:
    mix = PatternMix(none_frac=1.0, pure_walk_frac=1.0)
    drawn = mix.draw(4000, 0.07, np.random.default_rng(7))
    assert (drawn.labels == NONE).all()
    for windows in (drawn.prices, random_walks(4000, 64, np.random.default_rng(8))):
        steps = np.diff(windows, axis=1)
        steps = steps / steps.std(axis=1, keepdims=True)
        assert abs(lag_one(steps)) < 4 / np.sqrt(steps.size) + 1 / 63  # a mean taken out of 63 steps costs 1/63


def lag_one(steps: FloatArray) -> float:
    """Correlation of a step with the one before."""
    return float(np.mean(steps[:, 1:] * steps[:, :-1]))


def test_none_has_no_shape() -> None:
    with pytest.raises(ValueError, match="'none' has no shape of its own"):
        pattern_shapes(NONE, 1, np.random.default_rng(0))


def test_upside_down_twice_is_upright() -> None:
    mirrored: NDArray[np.int64] = np.array(MIRRORED)
    assert np.array_equal(mirrored[mirrored], np.arange(8))
