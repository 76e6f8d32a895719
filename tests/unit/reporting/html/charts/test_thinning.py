"""Gathered bars keep every extreme, and every bar lies in one bucket."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.reporting.html.charts.thinning import Buckets

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(values=st.lists(FINITE, min_size=1, max_size=300), most=st.integers(1, 50))
def test_every_bucket_keeps_its_ends_and_extremes(values: list[float], most: int) -> None:
    series, buckets = np.array(values), Buckets.at_most(len(values), most)
    parts = [values[first : last + 1] for first, last in zip(buckets.starts, buckets.ends, strict=True)]
    assert len(parts) <= most
    assert [value for part in parts for value in part] == values
    assert series[buckets.starts].tolist() == [part[0] for part in parts]
    assert series[buckets.ends].tolist() == [part[-1] for part in parts]
    assert buckets.lowest(series).tolist() == [min(part) for part in parts]
    assert buckets.highest(series).tolist() == [max(part) for part in parts]


@given(bars=st.integers(1, 1_000), most=st.integers(1, 1_000))
def test_bars_are_gathered_only_where_they_are_too_many(bars: int, most: int) -> None:
    buckets = Buckets.at_most(bars, most)
    assert (buckets.size == 1) == (bars <= most)
    assert buckets.size == 1 or -(-bars // (buckets.size - 1)) > most  # smaller ones would be too many


def test_a_sum_counts_each_bar_once() -> None:
    counts = np.arange(10.0)
    assert Buckets.at_most(10, 4).total(counts).tolist() == pytest.approx([0 + 1 + 2, 3 + 4 + 5, 6 + 7 + 8, 9])
