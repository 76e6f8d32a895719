"""Prices that are ten times off for a moment are told from those that stay, and from a wide candle."""

import numpy as np
import pandas as pd
import pytest

from src.errors import DataError
from src.market.quality.findings import Defect
from src.market.quality.inspection import inspect
from src.market.quality.verdict import DROP, Usability, assess, clean, judge
from tests.unit.market.quality.test_quality import HOUR, PRICES, counts, market


def with_factor(rows: slice, columns: list[str], factor: float) -> pd.DataFrame:
    frame = market(200)
    frame.loc[rows, columns] *= factor
    frame["high"] = frame[PRICES].max(axis=1)
    frame["low"] = frame[PRICES].min(axis=1)
    return frame


@pytest.mark.parametrize("factor", [1000.0, 100.0, 10.0, 0.1, 0.001])
@pytest.mark.parametrize("columns", [["close"], ["open"], PRICES])
def test_a_lost_decimal_point_is_refused_and_can_be_left_out(factor: float, columns: list[str]) -> None:
    frame = with_factor(slice(100, 100), columns, factor)
    finding = inspect(frame).finding(Defect.tenfold_spike)
    assert finding is not None
    assert [example.row for example in finding.examples] == [100]
    with pytest.raises(DataError, match=r"ten times off: 1, first row 100 \(2020-03-05 04:00\).*drop_defective=true"):
        clean("prices.csv", frame)
    pd.testing.assert_frame_equal(clean("prices.csv", frame, policy=DROP), frame.drop(index=100).reset_index(drop=True))


def test_five_bars_in_a_row_may_have_lost_it() -> None:
    assert counts(with_factor(slice(100, 104), PRICES, 1000))[Defect.tenfold_spike] == 5
    assert Defect.tenfold_spike not in counts(with_factor(slice(100, 105), PRICES, 1000))


@pytest.mark.parametrize("rows", [slice(100, 199), slice(198, 199), slice(0, 1), slice(0, 99)])
def test_what_lasts_to_the_end_or_from_the_start_is_no_spike(rows: slice) -> None:
    assert Defect.tenfold_spike not in counts(with_factor(rows, PRICES, 50))


def test_a_spike_of_three_times_is_only_noted() -> None:
    frame = with_factor(slice(100, 100), ["close"], 3)
    assert Defect.tenfold_spike not in counts(frame)
    assert assess(inspect(frame)).outcome is Usability.usable


def test_a_candle_that_is_possible_with_an_extreme_high_is_only_noted() -> None:
    frame = market(200)
    frame.loc[100, "high"] *= 1000
    assert counts(frame) == {Defect.wide_bar: 1}
    assert assess(inspect(frame)).outcome is Usability.usable


def test_after_spikes_are_left_out_the_rest_is_described() -> None:
    frame = with_factor(slice(100, 100), ["close"], 1000)
    frame.loc[150:155, PRICES] = frame.loc[150, PRICES].to_numpy(np.float64)
    judged = judge(frame, HOUR, DROP)
    assert judged.verdict.outcome is Usability.repaired
    gap, stale = judged.verdict.warnings  # neither the spike nor its outliers are among the bars that are left
    assert gap.startswith("missing bar: 1, first row 101 (2020-03-05 05:00)")
    assert stale.startswith("stale prices: 5, first row 151 ")
