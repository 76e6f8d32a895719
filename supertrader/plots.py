"""Pictures of backtests, in the colours of the matplotlib style in force.

Each function returns a figure of its own that a notebook shows by itself; `figure.savefig("equity.png")` keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.errors import ConfigError
from src.evaluation.returns import drawdowns
from supertrader.results import Backtest, Comparison

if TYPE_CHECKING:  # matplotlib is loaded by the first picture
    from matplotlib.axes import Axes

    from supertrader.picture import Picture

_WIDE, _TALL = (8.0, 3.6), (8.0, 5.0)  # inches
_MARKET_COLOUR = "0.6"  # grey


def plot_equity(*results: Backtest | Comparison) -> Picture:
    """Draw the equity of strategies over time, each from a start of 1, beside owning the market without costs.

    Example:
        >>> plot_equity(backtest("ma_cross"), backtest("rsi_reversion"))
    """
    from src.reporting.html.canvas import draw_line, money_axis

    found = _backtests(results)
    figure, axes = _picture()
    curves = [one.report.equity / one.report.performance.initial_equity for one in found]
    market = found[0].report.benchmark / found[0].report.performance.initial_equity
    draw_line(axes, found[0].report.times, market, _MARKET_COLOUR, "the market")
    for place, (one, curve) in enumerate(zip(found, curves, strict=True)):
        draw_line(axes, one.report.times, curve, f"C{place}", one.name)
    money_axis(axes, np.concatenate([market, *curves]), "equity, start = 1")
    return _finished(figure, axes)


def plot_drawdown(*results: Backtest | Comparison) -> Picture:
    """Draw how far strategies lie below their last peak, beside the market.

    Example:
        >>> plot_drawdown(backtest("ma_cross"))
    """
    from src.reporting.html.canvas import draw_line

    found = _backtests(results)
    figure, axes = _picture()
    first = found[0].report
    curves = [("the market", _MARKET_COLOUR, first, first.benchmark)]
    curves += [(one.name, f"C{place}", one.report, one.report.equity) for place, one in enumerate(found)]
    for name, colour, report, equity in curves:
        depth = -100 * drawdowns(equity, report.performance.initial_equity)
        draw_line(axes, report.times, depth, colour, name)
    axes.set_ylabel("below the last peak, %")
    return _finished(figure, axes)


def plot_exposure(result: Backtest) -> Picture:
    """Draw the price and, under it, the position as a fraction of equity; below 0 is short.

    Example:
        >>> plot_exposure(backtest("ma_cross"))
    """
    from src.reporting.html.canvas import date_axis, draw_line, money_axis
    from supertrader.picture import Picture

    report = result.report
    figure = Picture(figsize=_TALL, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    draw_line(upper, report.times, report.closes, "C0", "close")
    money_axis(upper, report.closes, "close")
    lower.fill_between(report.times, result.exposure.to_numpy(), 0.0, step="post", color="C0", alpha=0.6, linewidth=0)
    lower.axhline(0.0, color=_MARKET_COLOUR, linewidth=0.8)
    lower.set_ylabel("exposure")
    date_axis(lower)
    upper.set_title(result.name, loc="left")
    return figure


def _backtests(results: tuple[Backtest | Comparison, ...]) -> list[Backtest]:
    found = [
        one for result in results for one in (result.backtests.values() if isinstance(result, Comparison) else [result])
    ]
    if not found:
        raise ConfigError("there is nothing to plot; give a backtest or a comparison")
    return found


def _picture() -> tuple[Picture, Axes]:
    from supertrader.picture import Picture

    figure = Picture(figsize=_WIDE, layout="constrained")
    return figure, figure.subplots()


def _finished(figure: Picture, axes: Axes) -> Picture:
    from src.reporting.html.canvas import add_legend

    axes.grid(alpha=0.3)
    add_legend(axes, columns=4)
    return figure
