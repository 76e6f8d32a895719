"""Splits are chronological, apart by the embargo, and complete."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from src.config.data import SplitConfig
from src.errors import ConfigError, DataError
from src.market.splits import MIN_PART_ROWS, chronological_splits, fold_rows


def test_fractions_are_of_the_rows_left_after_the_embargoes() -> None:
    # 120 rows less two embargoes of 10 are 100: 60, 20 and 20.
    splits = chronological_splits(range(50, 170), SplitConfig(0.6, 0.2, embargo_bars=10))
    assert (splits.train, splits.validation, splits.test) == (range(50, 110), range(120, 140), range(150, 170))
    assert splits.all == range(50, 170)


def test_without_a_validation_part_there_is_one_embargo() -> None:
    splits = chronological_splits(range(110), SplitConfig(0.6, 0.0, embargo_bars=10))
    assert splits.train == range(60)
    assert len(splits.validation) == 0
    assert splits.test == range(70, 110)


@given(
    first=st.integers(0, 500),
    count=st.integers(1, 5000),
    train=st.floats(0.05, 0.95),
    validation=st.floats(0.0, 0.9),
    embargo=st.integers(0, 40),
)
def test_parts_keep_their_order_and_distance(
    first: int, count: int, train: float, validation: float, embargo: int
) -> None:
    assume(train + validation < 1.0)
    rows = range(first, first + count)
    try:
        splits = chronological_splits(rows, SplitConfig(train, validation, embargo))
    except DataError:
        return
    parts = [part for part in (splits.train, splits.validation, splits.test) if len(part)]
    assert parts[0].start == rows.start
    assert parts[-1].stop == rows.stop
    assert all(later.start - earlier.stop == embargo for earlier, later in itertools.pairwise(parts))
    assert min(map(len, parts)) >= MIN_PART_ROWS


def test_too_few_bars_are_refused_with_figures() -> None:
    with pytest.raises(DataError, match=r"20 usable bars are too few .* embargo_bars=8.* 2, 1 and 1; load more"):
        chronological_splits(range(100, 120), SplitConfig(0.6, 0.2, embargo_bars=8))


def test_a_part_of_two_rows_is_enough() -> None:
    splits = chronological_splits(range(14), SplitConfig(0.6, 0.2, embargo_bars=2))
    assert (splits.train, splits.validation, splits.test) == (range(6), range(8, 10), range(12, 14))


def test_folds_are_equal_stretches_that_end_where_the_rows_end() -> None:
    assert fold_rows(range(10, 21), 3) == (range(12, 15), range(15, 18), range(18, 21))
    assert fold_rows(range(10, 16), 3) == (range(10, 12), range(12, 14), range(14, 16))
    with pytest.raises(DataError, match="holds 5 bars, too few for folds=3"):
        fold_rows(range(10, 15), 3)


def test_fewer_rows_than_the_embargo_are_refused() -> None:
    with pytest.raises(DataError, match="3 usable bars are too few"):
        chronological_splits(range(3), SplitConfig(embargo_bars=50))


def test_parts_are_found_by_name() -> None:
    splits = chronological_splits(range(100), SplitConfig())
    assert splits.named("train") == splits.train
    assert splits.named("validation") == splits.validation
    assert splits.named("test") == splits.test
    assert splits.named("all") == range(100)


def test_an_unknown_name_is_refused_with_the_nearest_valid_one() -> None:
    with pytest.raises(ConfigError, match="split 'valid' is unknown; did you mean 'validation'"):
        chronological_splits(range(100), SplitConfig()).named("valid")
