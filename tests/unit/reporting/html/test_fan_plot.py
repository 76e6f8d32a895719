"""The fan plot: bands where the quantiles are, and the odds in the title."""

import numpy as np

from src.reporting.html.backtest_plots import fan_plot

LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def test_a_fan_opens_from_the_last_close_and_says_how_far() -> None:
    quantiles = np.outer(np.sqrt(np.arange(1, 21)), [-0.02, -0.01, 0.0, 0.01, 0.02])
    plot = fan_plot(np.linspace(90.0, 100.0, 30), LEVELS, quantiles)
    assert plot.name == "fan"
    assert "In 20 bars" in plot.title
    assert "90" in plot.title
    assert "-8.6" in plot.title.replace("−", "-")  # expm1(-0.02 * sqrt(20))
    assert "9.4" in plot.title
    assert plot.svg.count("PolyCollection") == 2  # one band per pair of levels
    assert plot.svg.startswith("<svg")


def test_a_wider_future_gives_another_picture_and_the_same_future_the_same() -> None:
    closes, narrow = np.full(5, 10.0), np.outer(np.arange(1, 4), [-0.01, 0.0, 0.01])
    levels = LEVELS[[0, 2, 4]]
    assert fan_plot(closes, levels, narrow) == fan_plot(closes, levels, narrow)
    assert fan_plot(closes, levels, 2 * narrow).svg != fan_plot(closes, levels, narrow).svg
