"""The plots of a report as inline SVG that follows the page's theme and font.

Matplotlib draws with placeholder colours, which become CSS variables, so one picture serves light and dark. Long series
are thinned to an envelope that keeps every bucket's lowest and highest point: spikes stay, file size does not grow.
"""

import io
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from src.evaluation.returns import Performance, drawdowns, simple_returns
from src.reporting.summary import Report, number, percent

FloatArray = NDArray[np.float64]

BUCKETS = 400  # two points each; the plots are 400 to 600 pixels wide
SIZE = (5.4, 3.1)  # inches; small, so that the labels can still be read on a phone
HISTOGRAM_BINS = 61
LOG_AXIS_FROM = 3.0  # ratio of highest to lowest value at which a log axis reads better

# Placeholder colours and the CSS variables they stand for (`page.py` gives their values).
INK, MUTED, GRID, STRATEGY, BENCHMARK, GAIN, LOSS = (f"#0{digit}0{digit}0{digit}" for digit in "1234567")
_VARIABLES = dict(
    zip(
        (INK, MUTED, GRID, STRATEGY, BENCHMARK, GAIN, LOSS),
        ("ink", "muted", "grid", "strategy", "benchmark", "gain", "loss"),
        strict=True,
    )
)
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "supertrader",
    "font.size": 10,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "text.color": INK,
    "lines.linewidth": 1.1,
}


class Plot(NamedTuple):
    """A picture with the sentence that says what to see in it."""

    name: str
    title: str
    svg: str


def all_plots(report: Report) -> list[Plot]:
    """Return every plot of the report, in reading order."""
    draw: list[Callable[[Report], Plot]] = [
        equity_plot,
        drawdown_plot,
        position_plot,
        rolling_sharpe_plot,
        distribution_plot,
        costs_plot,
    ]
    with mpl.rc_context(_STYLE):
        return [one(report) for one in draw]


def equity_plot(report: Report) -> Plot:
    """Draw equity beside buy and hold."""
    figure, axes = _figure()
    for values, colour, label in (
        (report.benchmark, BENCHMARK, "buy and hold"),
        (report.equity, STRATEGY, "strategy"),
    ):
        _line(axes, report.moments, values, colour, label)
    _money_axis(axes, np.concatenate([report.equity, report.benchmark]), "equity, quote currency")
    _legend(axes)
    ends = number(report.equity[-1], 0), number(float(report.benchmark[-1]), 0)
    return Plot("equity", f"Equity ends at {ends[0]}; buy and hold at {ends[1]}", _svg(figure))


def drawdown_plot(report: Report) -> Plot:
    """Draw the loss since the last peak."""
    figure, axes = _figure()
    initial = report.performance.initial_equity
    _line(axes, report.moments, -100 * drawdowns(report.benchmark, initial), BENCHMARK, "buy and hold")
    depth = -100 * drawdowns(report.equity, initial)
    _line(axes, report.moments, depth, STRATEGY, "strategy")
    rows = envelope(depth)
    axes.fill_between(report.moments[rows], depth[rows], 0.0, color=STRATEGY, alpha=0.15, linewidth=0)
    axes.set_ylabel("below the last peak, %")
    _legend(axes)
    measured = report.performance
    title = f"Deepest fall from a peak: {percent(measured.max_drawdown)}, over {measured.max_drawdown_bars:,} bars"
    return Plot("drawdown", title, _svg(figure))


def position_plot(report: Report) -> Plot:
    """Draw the price and, under it, the exposure held at each close."""
    figure = Figure(figsize=SIZE, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    _line(upper, report.moments, report.closes, INK, "close")
    _money_axis(upper, report.closes, "close")
    upper.tick_params(labelbottom=False)
    held = exposures(report)
    for part, colour, extreme in ((np.maximum(held, 0), GAIN, np.max), (np.minimum(held, 0), LOSS, np.min)):
        rows, values = buckets(part, extreme)
        lower.fill_between(report.moments[rows], values, 0.0, step="post", color=colour, alpha=0.7, linewidth=0)
    lower.axhline(0.0, color=MUTED, linewidth=0.6)
    lower.set_ylabel("exposure")
    _date_axis(lower)
    long_frac, short_frac = float(np.mean(held > 0)), float(np.mean(held < 0))
    title = f"Exposure (position / equity): long in {percent(long_frac)} of bars, short in {percent(short_frac)}"
    return Plot("position", title, _svg(figure))


def rolling_sharpe_plot(report: Report) -> Plot:
    """Draw the annual Sharpe ratio of a moving window: a year, or a quarter of the data if that is shorter."""
    figure, axes = _figure()
    measured = report.performance
    window = max(2, min(round(measured.bars_per_year), len(report.closes) // 4))
    if len(report.closes) <= window:
        _say(axes, "too few bars for a moving window")
        return Plot("rolling_sharpe", "Rolling Sharpe ratio", _svg(figure))
    initial = measured.initial_equity
    for equity, colour, label in ((report.benchmark, BENCHMARK, "buy and hold"), (report.equity, STRATEGY, "strategy")):
        values = rolling_sharpe(simple_returns(equity, initial), window) * np.sqrt(measured.bars_per_year)
        _line(axes, report.moments[window - 1 :], values, colour, label)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set_ylabel("annual Sharpe ratio")
    _legend(axes)
    return Plot("rolling_sharpe", f"Sharpe ratio of the last {window:,} bars: is the edge steady?", _svg(figure))


def distribution_plot(report: Report) -> Plot:
    """Draw the histogram of returns of bars in the market against a normal of the same mean and spread."""
    figure, axes = _figure()
    invested = (np.asarray(report.records.position) != 0) | (np.asarray(report.records.fill_units) != 0)
    returns = 100 * simple_returns(report.equity, report.performance.initial_equity)[invested]
    if len(returns) < 3 or np.ptp(returns) <= 0:
        _say(axes, "too few bars in the market")
        return Plot("distribution", "Returns of bars in the market", _svg(figure))
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
    edges = np.linspace(mean - 5 * deviation, mean + 5 * deviation, HISTOGRAM_BINS + 1)
    axes.hist(
        np.clip(returns, edges[0], edges[-1]), edges.tolist(), density=True, color=STRATEGY, alpha=0.6, label="returns"
    )
    density = np.exp(-0.5 * ((edges - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    axes.plot(edges, density, color=MUTED, label="normal")
    axes.set(xlabel="return per bar in the market, % (tails gathered at 5 deviations)", ylabel="density")
    _legend(axes)
    standard = (returns - mean) / returns.std()
    skew, kurtosis = float(np.mean(standard**3)), float(np.mean(standard**4)) - 3.0
    title = f"Returns in the market: skew {number(skew)}, excess kurtosis {number(kurtosis)}"
    return Plot("distribution", title, _svg(figure))


def costs_plot(report: Report) -> Plot:
    """Draw what was paid, by kind."""
    figure, axes = _figure()
    costs, initial = report.performance.costs, report.performance.initial_equity
    paid = {name: float(getattr(costs, name)) for name in ("commission", "spread", "slippage", "financing")}
    bars = axes.barh(list(paid), list(paid.values()), color=STRATEGY, height=0.55)
    labels = [f"{number(value)}  ({percent(value / initial)})" for value in paid.values()]
    axes.bar_label(bars, labels, padding=4, color=MUTED)
    axes.set_xlim(min(0.0, *paid.values()), 1.45 * max(paid.values()) or 1.0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("paid, quote currency (share of initial equity)")
    return Plot("costs", _costs_title(report.performance), _svg(figure))


def _costs_title(measured: Performance) -> str:
    if measured.cost_bps is None or measured.break_even_fee_bps is None:
        return "Nothing was traded, nothing was paid"
    paid = f"Costs were {number(measured.cost_bps, 1)} bps of traded value"
    if measured.break_even_fee_bps <= 0:
        return f"{paid}; it lost money even before them"
    return f"{paid}; the profit is gone at {number(measured.break_even_fee_bps, 1)}"


def exposures(report: Report) -> FloatArray:
    """Return position value over equity at each close, (T,); 0 without equity."""
    equity = report.equity
    value: FloatArray = np.asarray(report.records.position, dtype=np.float64) * report.closes
    held: FloatArray = np.divide(value, equity, out=np.zeros_like(equity), where=equity > 0)
    return held


def rolling_sharpe(returns: FloatArray, window: int) -> FloatArray:
    """Return the Sharpe ratio per bar of each window, (T - window + 1,); 0 where returns did not vary."""
    # Sums of centred values: a running sum of squares would lose the small differences.
    centred = returns - returns.mean()
    first, second = (np.concatenate([[0.0], np.cumsum(values)]) for values in (centred, centred**2))
    mean = (first[window:] - first[:-window]) / window
    variance = (second[window:] - second[:-window] - window * mean**2) / (window - 1)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    ratio: FloatArray = np.divide(mean + returns.mean(), deviation, out=np.zeros_like(mean), where=deviation > 1e-9)
    return ratio


def envelope(values: FloatArray) -> NDArray[np.int64]:
    """Return the rows to draw of a long line: the lowest and highest of each bucket, the first and the last."""
    count = len(values)
    if count <= 2 * BUCKETS:
        return np.arange(count)
    edges = np.linspace(0, count, BUCKETS + 1).astype(np.int64)
    extremes = [low + pick(values[low:high]) for low, high in pairwise(edges) for pick in (np.argmin, np.argmax)]
    return np.unique(np.array([0, count - 1, *extremes], dtype=np.int64))


def buckets(values: FloatArray, extreme: Callable[..., FloatArray]) -> tuple[NDArray[np.int64], FloatArray]:
    """Return first rows and extreme values of the buckets of a long step function."""
    count = len(values)
    if count <= 2 * BUCKETS:
        return np.arange(count), values
    edges = np.linspace(0, count, 2 * BUCKETS + 1).astype(np.int64)
    return edges[:-1], np.array([extreme(values[low:high]) for low, high in pairwise(edges)])


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE, layout="constrained")
    return figure, figure.subplots()


def _line(axes: Axes, moments: NDArray[np.datetime64], values: FloatArray, colour: str, label: str) -> None:
    rows = envelope(values)
    axes.plot(moments[rows], values[rows], color=colour, label=label)
    _date_axis(axes)


def _legend(axes: Axes) -> None:
    # Above the plot, where it cannot hide a line.
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, borderaxespad=0.1, borderpad=0.2)


def _date_axis(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(MUTED)


def _money_axis(axes: Axes, values: FloatArray, label: str) -> None:
    low, high = float(values.min()), float(values.max())
    is_log = low > 0 and high / low >= LOG_AXIS_FROM
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0]))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_ylabel(f"{label} (log)" if is_log else label)


def _say(axes: Axes, message: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, color=MUTED, ha="center", va="center", transform=axes.transAxes)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'font: ([\d.]+px) [^;"]*', r"font: \1 var(--font)", svg)
    svg = re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", svg))
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    return svg
