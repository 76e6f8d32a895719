"""Pictures: what they draw, and that a notebook shows them."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import supertrader as st

BARS = st.load_bars("SP500", start="2012-01-01", end="2016-01-01")


@pytest.fixture(scope="module")
def comparison() -> st.Comparison:
    return st.compare(["buy_and_hold", "ma_cross"], BARS)


def names(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_equity_starts_at_one_and_ends_where_the_account_does(comparison: st.Comparison) -> None:
    figure = st.plot_equity(comparison)
    assert names(figure) == ["the market", "buy_and_hold", "ma_cross"]
    for line, one in zip(figure.axes[0].lines[1:], comparison.backtests.values(), strict=True):
        drawn = np.asarray(line.get_ydata())
        assert drawn[0] == 1.0
        assert drawn[-1] == pytest.approx(one.equity.iloc[-1] / 10_000.0)


def test_backtests_and_comparisons_may_be_mixed(comparison: st.Comparison) -> None:
    figure = st.plot_equity(st.backtest("flat", BARS), comparison)
    assert names(figure) == ["the market", "flat", "buy_and_hold", "ma_cross"]


def test_the_deepest_point_is_the_deepest_drawdown(comparison: st.Comparison) -> None:
    result = comparison.backtests["ma_cross"]
    line = st.plot_drawdown(result).axes[0].lines[1]
    assert np.min(np.asarray(line.get_ydata())) == pytest.approx(-100 * result.drawdown.max())
    assert result.drawdown.max() == pytest.approx(result.summary().loc["max_drawdown", "ma_cross"])


def test_exposure_lies_under_the_price(comparison: st.Comparison) -> None:
    result = comparison.backtests["ma_cross"]
    price, exposure = st.plot_exposure(result).axes
    assert np.asarray(price.lines[0].get_ydata())[-1] == BARS.close[-1]
    low, high = exposure.dataLim.intervaly
    assert (low, high) == pytest.approx((min(result.exposure.min(), 0.0), max(result.exposure.max(), 0.0)))


def test_a_notebook_shows_a_picture_by_itself(comparison: st.Comparison) -> None:
    shown = imread(io.BytesIO(st.plot_equity(comparison)._repr_png_()))
    assert shown.shape[1] > shown.shape[0] > 100
    assert np.ptp(shown) > 0.5  # not a blank page


def test_nothing_cannot_be_plotted() -> None:
    with pytest.raises(st.ConfigError, match="nothing to plot"):
        st.plot_equity()
