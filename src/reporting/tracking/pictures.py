"""Pictures for trackers, drawn as pixels. The pages of `reporting/html` draw their own, which follow a page's theme."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from src.market.bars import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 2_000  # more cannot be told apart on a screen


def equity_picture(times: NDArray[np.int64], equity: FloatArray, closes: FloatArray) -> "Figure":
    """Draw the equity of an account beside buy and hold without costs.

    Args:
        times: (T,) UTC milliseconds.
        equity: (T,), from the first bar on.
        closes: (T,) of the market it traded.
    """
    from matplotlib.figure import Figure

    rows = np.unique(np.linspace(0, len(equity) - 1, _POINTS).astype(int))
    days = times[rows].astype("datetime64[ms]")
    figure = Figure(figsize=(7.0, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(days, closes[rows] / closes[0], color="0.6", label="buy and hold")
    axes.plot(days, equity[rows] / equity[0], color="tab:blue", label="strategy")
    axes.set_ylabel("equity, start = 1")
    axes.grid(color="0.9")
    axes.legend(frameon=False)
    return figure


def family_picture(records: Sequence[Mapping[str, Any]], lineage: Sequence[str]) -> "Figure":
    """Draw the members of a population by generation and fitness, with lines from parents; the champion's line is bold.

    Args:
        records: of the members, as `population.json` holds them.
        lineage: of the champion, itself the last.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    places = {
        record["name"]: (record["generation"], record["fitness"]["total"])
        for record in records
        if not record["failure"]
    }
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for record in records:
        if record["name"] in places and record["parent"] in places:
            line = np.array([places[record["parent"]], places[record["name"]]])
            bold = record["name"] in lineage and record["parent"] in lineage
            axes.plot(*line.T, color="tab:blue" if bold else "0.8", linewidth=2.5 if bold else 0.8, zorder=1 + bold)
    marks = np.array(list(places.values()), np.float64).reshape(-1, 2)
    colours = ["tab:blue" if name in lineage else "0.5" for name in places]
    axes.scatter(marks[:, 0], marks[:, 1], c=colours, s=28, zorder=3)
    axes.set(xlabel="generation", ylabel="fitness")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="0.9")
    return figure
