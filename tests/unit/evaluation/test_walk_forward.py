"""Properties that walk-forward folds must have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import DataError
from src.evaluation.walk_forward import walk_forward_folds


@given(st.integers(0, 99), st.integers(1, 6), st.integers(1, 30), st.integers(0, 5), st.none() | st.integers(1, 40))
def test_tests_tile_the_end_and_never_touch_what_was_fitted(
    first: int, folds: int, test_bars: int, embargo: int, train_bars: int | None
) -> None:
    rows = range(first, first + folds * test_bars + embargo + (train_bars or 1) + 3)
    found = walk_forward_folds(rows, folds, test_bars, embargo, train_bars)
    tested = [row for fold in found for row in fold.test]
    assert tested == list(rows[-folds * test_bars :])
    for fold in found:
        assert fold.train.stop + embargo == fold.test.start
        assert fold.train.start >= rows.start
        assert len(fold.train) == train_bars or (train_bars is None and fold.train.start == rows.start)


def test_example() -> None:
    found = walk_forward_folds(range(10), folds=2, test_bars=3, embargo_bars=1)
    assert [(fold.train, fold.test) for fold in found] == [(range(3), range(4, 7)), (range(6), range(7, 10))]


def test_too_few_bars_are_refused_with_the_number_needed() -> None:
    with pytest.raises(DataError, match="need 105 bars in all, had 104"):
        walk_forward_folds(range(104), folds=5, test_bars=15, embargo_bars=10, train_bars=20)
    with pytest.raises(DataError, match=">= 1"):
        walk_forward_folds(range(104), folds=0, test_bars=15)
