"""Bars of another length are named with their rows and the dates that keep the others; trades are no bars."""

import numpy as np
import pandas as pd
import pytest

from src.errors import DataError
from src.market.quality.bar_lengths import Stretch, common_step, longest_rest, other_lengths
from src.market.quality.findings import Defect
from src.market.quality.inspection import inspect
from tests.unit.market.quality.test_quality import HOUR, PRICES, counts, market

DAY = 24 * HOUR


def times(*stretches: tuple[int, int]) -> np.ndarray:
    """Opening times of stretches of (bars, step), one after the other."""
    return np.cumsum(np.concatenate([[0], *(np.full(bars, step, np.int64) for bars, step in stretches)])[:-1])


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        (((60, DAY), (240, 4 * HOUR)), (Stretch(0, 59, DAY),)),
        (((240, 4 * HOUR), (60, DAY)), (Stretch(240, 299, DAY),)),
        (((100, HOUR), (40, 4 * HOUR), (100, HOUR)), (Stretch(100, 139, 4 * HOUR),)),
        (((100, 4 * HOUR), (40, HOUR), (100, 4 * HOUR)), (Stretch(100, 139, HOUR),)),
        (((240, HOUR),), ()),
        (((100, HOUR), (5, DAY), (100, HOUR)), ()),  # an outage or a holiday
    ],
)
def test_stretches_of_another_length_are_found(
    stretches: tuple[tuple[int, int], ...], expected: tuple[Stretch, ...]
) -> None:
    opened = times(*stretches)
    assert other_lengths(opened, common_step(opened)) == expected


def test_weekends_and_thin_trading_are_no_other_length() -> None:
    weekdays = pd.bdate_range("2020-01-01", periods=500).to_numpy().astype("datetime64[ms]").astype(np.int64)
    assert other_lengths(weekdays, DAY) == ()
    minutes = np.flatnonzero(np.random.default_rng(0).random(50_000) < 0.4) * 60_000
    assert other_lengths(minutes, 60_000) == ()


def test_daily_bars_with_weekends_before_hourly_ones_are_found() -> None:
    weekdays = pd.bdate_range("2020-01-01", "2020-03-20").to_numpy().astype("datetime64[ms]").astype(np.int64)
    hours = weekdays[-1] + DAY + HOUR * np.arange(500)
    assert other_lengths(np.concatenate([weekdays, hours]), HOUR) == (Stretch(0, len(weekdays) - 1, DAY),)


def test_the_refusal_names_rows_and_the_dates_that_keep_the_rest() -> None:
    frame = market(300).assign(open_time=1_704_067_200_000 + times((60, DAY), (240, 4 * HOUR)))
    finding = inspect(frame).finding(Defect.other_length)
    assert finding is not None
    assert finding.count == 60
    assert finding.detail == "rows 0-59 are 1d apart, the others 4h; keep 240 bars with data.start=2024-03-01"
    newest_first = frame.iloc[::-1].reset_index(drop=True)
    finding = inspect(newest_first).finding(Defect.other_length)
    assert finding is not None
    assert finding.detail.startswith("rows 240-299 are 1d apart")


def test_the_longest_stretch_of_the_usual_length_is_kept() -> None:
    assert longest_rest(300, (Stretch(0, 59, DAY), Stretch(100, 139, DAY))) == (140, 299)
    assert longest_rest(300, (Stretch(200, 299, DAY),)) == (0, 199)


def test_trades_dressed_as_bars_are_noted() -> None:
    rng = np.random.default_rng(0)
    seconds = market(400).assign(open_time=1_704_067_200_000 + 1000 * np.cumsum(rng.integers(1, 5, 400)))
    assert Defect.trades not in counts(seconds, None)  # bars with a range, in a thin market
    for name in PRICES:
        seconds[name] = seconds["close"]
    finding = inspect(seconds).finding(Defect.trades)
    assert finding is not None
    assert "one price in nearly all rows" in finding.detail


def test_closes_as_all_four_prices_at_regular_times_are_bars() -> None:
    frame = market(400)
    for name in PRICES:
        frame[name] = frame["close"]
    assert counts(frame, None) == {}


def test_trades_by_the_millisecond_have_no_length() -> None:
    frame = market(50).assign(open_time=np.arange(50) * 7)
    with pytest.raises(DataError, match="most often 7 ms apart, which is no length of bars; if they are trades, make"):
        inspect(frame)
