"""A fan of what may come: bands of quantiles that open from the last close."""

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from src.reporting.canvas import INK, STRATEGY, STYLE, Plot, add_legend, money_axis, new_figure, to_svg
from src.reporting.formats import percent

FloatArray = NDArray[np.float64]


def fan_plot(closes: FloatArray, levels: FloatArray, quantiles: FloatArray) -> Plot:
    """Draw past closes and, around the median of what is foreseen, a band for each pair of levels.

    Args:
        closes: (T,) up to the last known bar.
        levels: (Q,) probabilities, ascending and symmetric around 0.5, which is among them.
        quantiles: (N, Q) of the cumulative log-return after 1 to N bars.
    """
    assert len(levels) % 2 == 1, f"levels need a median, got {levels.tolist()}"
    ahead = np.concatenate([np.zeros((1, len(levels))), quantiles])
    prices = closes[-1] * np.exp(ahead)  # (N + 1, Q), from the last close on
    bars, middle = np.arange(len(ahead)), len(levels) // 2
    with mpl.rc_context(STYLE):
        figure, axes = new_figure()
        axes.plot(np.arange(1 - len(closes), 1), closes, color=INK, label="close")
        axes.plot(bars, prices[:, middle], color=STRATEGY, label="median foreseen")
        for low in range(middle):
            high = len(levels) - 1 - low
            axes.fill_between(bars, prices[:, low], prices[:, high], color=STRATEGY, alpha=0.18, linewidth=0)
        axes.set_xlabel("bars from now")
        money_axis(axes, np.concatenate([closes, prices.ravel()]), "close")
        add_legend(axes)
        inside, bounds = percent(float(levels[-1] - levels[0])), np.expm1(quantiles[-1, [0, -1]])
        title = f"In {len(quantiles)} bars, with {inside} odds, from {percent(bounds[0])} to {percent(bounds[1])}"
        return Plot("fan", title, to_svg(figure))
