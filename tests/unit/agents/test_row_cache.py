"""Rows that are remembered are those that would be computed, and nothing that has changed is remembered."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from src.agents.row_cache import RowCache
from src.market.bars import COLUMNS, BarSeries
from tests.support.random_bars import random_bars

HISTORY, COUNT = 10, 4
BARS = random_bars(60, seed=1)


class Counted:
    """Says the mean of every column of a window, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.rows = RowCache(self, HISTORY)

    def __call__(self, window: BarSeries) -> NDArray[np.float64]:
        assert len(window) == HISTORY
        self.asked += 1
        return np.array([getattr(window, name).mean() for name in COLUMNS])

    def last(self, bars: BarSeries) -> tuple[NDArray[np.float64], int]:
        before = self.asked
        return self.rows.last(bars, COUNT), self.asked - before


def cold(bars: BarSeries) -> NDArray[np.float64]:
    return Counted().last(bars)[0]


def test_a_series_that_grows_costs_one_row_a_bar() -> None:
    warm = Counted()
    costs = []
    for stop in range(20, 40):
        rows, asked = warm.last(BARS[:stop])
        np.testing.assert_array_equal(rows, cold(BARS[:stop]))
        costs.append(asked)
    assert costs == [COUNT] + [1] * 19
    assert warm.last(BARS[:39])[1] == 0


def test_a_window_that_moves_on_costs_one_row_a_bar() -> None:
    warm, length = Counted(), HISTORY + COUNT - 1
    costs = []
    for stop in range(20, 40):
        rows, asked = warm.last(BARS[stop - length : stop])
        np.testing.assert_array_equal(rows, cold(BARS[:stop]))
        costs.append(asked)
    assert costs == [COUNT] + [1] * 19


@pytest.mark.parametrize(("ahead", "asked"), [(1, 1), (2, 2), (3, 3), (4, 4), (20, 4), (-1, 4), (-15, 4)])
def test_bars_that_were_passed_over_or_go_back_are_computed(ahead: int, asked: int) -> None:
    warm, length = Counted(), HISTORY + COUNT - 1
    warm.last(BARS[30 - length : 30])
    rows, found = warm.last(BARS[30 + ahead - length : 30 + ahead])
    np.testing.assert_array_equal(rows, cold(BARS[: 30 + ahead]))
    assert found == asked


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("age", [0, 5, 12])
def test_a_revised_candle_is_not_served_from_memory(name: str, age: int) -> None:
    warm, length = Counted(), HISTORY + COUNT - 1
    warm.last(BARS[30 - length : 30])
    columns = {each: getattr(BARS, each).copy() for each in COLUMNS}
    place = 29 - age
    within = 0.5 * (BARS.high[place] + BARS.low[place])
    new = {"open": within, "close": within, "high": 2 * BARS.high[place], "low": 0.5 * BARS.low[place]}
    columns[name][place] = new.get(name, getattr(BARS, name)[place] + 1)
    revised = replace(BARS, **columns)
    for stop, expected in ((30, COUNT), (31, 1)):
        rows, asked = warm.last(revised[stop - length : stop])
        np.testing.assert_array_equal(rows, cold(revised[stop - length : stop]))
        assert asked == expected
    assert (cold(revised[:30]) != cold(BARS[:30])).any()


def test_a_longer_past_is_not_taken_from_a_shorter_one() -> None:
    # What is remembered was computed from full windows, wherever in the series they lay.
    warm = Counted()
    warm.last(BARS[17:30])
    rows, asked = warm.last(BARS[:31])
    np.testing.assert_array_equal(rows, cold(BARS[:31]))
    assert asked == 1


def test_other_bars_of_another_length_are_not_the_same_bars() -> None:
    warm = Counted()
    warm.last(BARS[:30])
    assert warm.last(replace(BARS, timeframe="30m")[:30])[1] == COUNT
