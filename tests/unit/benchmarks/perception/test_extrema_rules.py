"""The rules of Lo, Mamaysky and Wang on charts drawn by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.perception.extrema_rules import ExtremaRules, turning_points
from src.market.bars import FloatArray
from src.reasoning.patterns.shapes import MIRRORED, PATTERNS

DRAWN: dict[str, Sequence[float]] = {  # turning points by eye, evenly spaced over the window
    "head_and_shoulders": (0, 6, 2.5, 10, 2.5, 6, 0),
    "double_top": (0, 10, 5, 10, 0),
    "triangle": (0, 10, 2, 8, 4, 6, 5),
    "broadening": (5, 6, 4, 8, 2, 10, 0),
    "rectangle": (5, 10, 0, 10, 0, 10, 0, 5),
}


def chart(points: Sequence[float], bars: int = 64) -> FloatArray:
    """Join points by straight lines, as log prices around 100 with a range of 10 %."""
    line = np.interp(np.linspace(0, len(points) - 1, bars), np.arange(len(points)), points)
    return np.log(100.0) + 0.01 * line


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("bars", [48, 64, 192])
def test_a_drawn_pattern_is_named_and_so_is_its_mirror_image(name: str, bars: int) -> None:
    prices, pattern = chart(DRAWN[name], bars), PATTERNS.index(name)
    assert ExtremaRules().classify(np.stack([prices, -prices])).tolist() == [pattern, MIRRORED[pattern]]


@pytest.mark.parametrize(
    "points",
    [
        (0, 10),  # a trend
        (0, 10, 0),  # a single peak
        (0, 10, 9.5, 10, 0),  # a dip that is none
        (0, 10, 4, 6, 0),  # tops unequal by far
        (0, 3, 1, 6, 4, 10),  # rising peaks
        (5, 5),  # nothing moves
    ],
    ids=["trend", "peak", "shallow", "unequal", "rising", "still"],
)
def test_near_misses_are_none(points: Sequence[float]) -> None:
    assert ExtremaRules().classify(chart(points)[None]).tolist() == [0]


def test_scale_and_level_of_prices_do_not_matter() -> None:
    windows = np.stack([chart(points) for points in DRAWN.values()])
    rules = ExtremaRules()
    assert np.array_equal(rules.classify(7.0 + 50 * windows), rules.classify(windows))


def test_turning_points_are_the_inner_extrema_and_a_level_stretch_turns_once() -> None:
    turns = turning_points(np.array([0.0, 2.0, 1.0, 1.0, 3.0, -1.0, -1.0, -2.0, 4.0]))
    assert [(turn.bar, turn.level, turn.is_top) for turn in turns] == [
        (1, 2.0, True),
        (2, 1.0, False),
        (4, 3.0, True),
        (7, -2.0, False),
    ]
    assert turning_points(np.array([0.0, 0.0, 1.0, 1.0, 2.0])) == []
