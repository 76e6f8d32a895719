"""Properties that every combinatorial purged split and path must have."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import DataError
from src.evaluation.purged_splits import combinatorial_purged_splits, out_of_sample_paths

sizes = st.integers(3, 8).flatmap(lambda groups: st.tuples(st.just(groups), st.integers(1, groups - 1)))


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 500), st.integers(120, 240), st.integers(0, 6), st.integers(0, 6))
def test_no_fitted_row_is_near_a_tested_one(
    size: tuple[int, int], first: int, count: int, purge: int, embargo: int
) -> None:
    groups, tested = size
    rows = range(first, first + count)
    splits = combinatorial_purged_splits(rows, groups, tested, purge, embargo)
    assert len(splits) == comb(groups, tested)
    for split in splits:
        inside = {row for _, piece in split.tested for row in piece}
        forbidden = {row + gap for row in inside for gap in range(-purge, embargo + 1)}
        assert set(split.train.tolist()) == set(rows) - forbidden
        assert np.all(np.diff(split.train) > 0)
        assert len(split.tested) == tested


@given(sizes)
def test_paths_use_every_result_once_and_visit_every_group(size: tuple[int, int]) -> None:
    groups, tested = size
    paths = out_of_sample_paths(groups, tested)
    assert paths.shape == (comb(groups - 1, tested - 1), groups)
    splits = combinatorial_purged_splits(range(10 * groups), groups, tested)
    used = [(int(split), group) for path in paths for group, split in enumerate(path)]
    available = [(index, group) for index, split in enumerate(splits) for group, _ in split.tested]
    assert sorted(used) == sorted(available)


def test_the_example_of_six_groups_two_at_a_time_has_fifteen_splits_and_five_paths() -> None:
    assert len(combinatorial_purged_splits(range(60), 6, 2)) == 15
    assert len(out_of_sample_paths(6, 2)) == 5


def test_tested_groups_tile_the_rows() -> None:
    pieces = [piece for split in combinatorial_purged_splits(range(7, 30), 5, 1) for _, piece in split.tested]
    assert [row for piece in pieces for row in piece] == list(range(7, 30))
    assert {len(piece) for piece in pieces} <= {4, 5}


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(DataError, match="had 4 of 4 groups"):
        combinatorial_purged_splits(range(40), 4, 4)
    with pytest.raises(DataError, match="leaves no row to fit on"):
        combinatorial_purged_splits(range(40), 4, 2, purge_bars=20, embargo_bars=20)
