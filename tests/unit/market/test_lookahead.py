"""What sees the future is refused; what does not, never."""

import numpy as np
import pytest

from src.errors import DataError, LookaheadError
from src.market.bars import BarSeries, FloatArray
from src.market.lookahead import require_causal
from tests.support.random_bars import random_bars

BARS = random_bars(400)


def past_mean(bars: BarSeries) -> FloatArray:
    return np.cumsum(bars.close) / np.arange(1, len(bars) + 1)


def next_close(bars: BarSeries) -> FloatArray:
    return np.append(bars.close[1:], bars.close[-1])


def share_of_all(bars: BarSeries) -> FloatArray:
    return bars.close / bars.close.mean()


def peak_of_five(bars: BarSeries) -> FloatArray:
    # Says of a bar that it was the highest of five, two of which had yet to come.
    highest = [bars.high[max(0, row - 2) : row + 3].max() for row in range(len(bars))]
    return (bars.high == highest).astype(float)


def test_causal_series_pass() -> None:
    require_causal("a mean", past_mean, BARS)
    require_causal("two columns", lambda bars: np.column_stack([past_mean(bars), bars.close]), BARS)
    require_causal("one bar", past_mean, BARS[:1])


@pytest.mark.parametrize("compute", [next_close, share_of_all, peak_of_five])
def test_the_future_is_noticed(compute: object) -> None:
    with pytest.raises(LookaheadError, match=r"it looks ahead: row \d+ \(.* UTC\) comes out otherwise"):
        require_causal("it", compute, BARS)  # type: ignore[arg-type]


def test_the_row_named_is_one_that_changes() -> None:
    with pytest.raises(LookaheadError) as refusal:
        require_causal("it", next_close, BARS)
    row, stop = (int(text) for text in str(refusal.value).replace("row ", "").split() if text.isdigit())
    assert row == stop - 1  # of the bars before the cut the last alone lacks its future


def test_rows_before_the_first_may_be_anything() -> None:
    def warming_up(bars: BarSeries) -> FloatArray:
        values = past_mean(bars)
        values[:10] = np.nan if len(bars) % 2 else 7.0
        return values

    require_causal("it", warming_up, BARS, first_row=10)
    with pytest.raises(DataError):
        require_causal("it", warming_up, BARS[:399])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused_with_its_row(bad: float) -> None:
    def broken(bars: BarSeries) -> FloatArray:
        return np.where(np.arange(len(bars)) == 17, bad, 0.0)

    with pytest.raises(DataError, match=r"it is not a finite number at row 17 \("):
        require_causal("it", broken, BARS)


def test_one_row_a_bar() -> None:
    with pytest.raises(DataError, match=r"it returned values of shape \(399,\) for 400 bars"):
        require_causal("it", lambda bars: bars.close[1:], BARS)
