"""The plots of a report. Each title is the sentence that says what to see."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from src.evaluation.returns import Performance, drawdowns, simple_returns
from src.evaluation.variation import varies
from src.market.bars import FloatArray
from src.reporting.formats import number, percent
from src.reporting.html.canvas import (
    BENCHMARK,
    GAIN,
    INK,
    LOSS,
    MUTED,
    SIZE,
    STRATEGY,
    STYLE,
    Plot,
    add_legend,
    date_axis,
    draw_line,
    money_axis,
    new_figure,
    thinned_rows,
    thinned_steps,
    to_svg,
    write_message,
)
from src.reporting.summary import Report

HISTOGRAM_BINS = 61


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
    with mpl.rc_context(STYLE):
        return [one(report) for one in draw]


def equity_plot(report: Report) -> Plot:
    """Draw equity beside buy and hold."""
    figure, axes = new_figure()
    for values, colour, label in (
        (report.benchmark, BENCHMARK, "buy and hold"),
        (report.equity, STRATEGY, "strategy"),
    ):
        draw_line(axes, report.times, values, colour, label)
    money_axis(axes, np.concatenate([report.equity, report.benchmark]), "equity, quote currency")
    add_legend(axes)
    ends = number(report.equity[-1], 0), number(float(report.benchmark[-1]), 0)
    return Plot("equity", f"Equity ends at {ends[0]}; buy and hold at {ends[1]}", to_svg(figure))


def drawdown_plot(report: Report) -> Plot:
    """Draw the loss since the last peak."""
    figure, axes = new_figure()
    initial = report.performance.initial_equity
    draw_line(axes, report.times, -100 * drawdowns(report.benchmark, initial), BENCHMARK, "buy and hold")
    depth = -100 * drawdowns(report.equity, initial)
    draw_line(axes, report.times, depth, STRATEGY, "strategy")
    rows = thinned_rows(depth)
    axes.fill_between(report.times[rows], depth[rows], 0.0, color=STRATEGY, alpha=0.15, linewidth=0)
    axes.set_ylabel("below the last peak, %")
    add_legend(axes)
    measured = report.performance
    title = f"Deepest fall from a peak: {percent(measured.max_drawdown)}, over {measured.max_drawdown_bars:,} bars"
    return Plot("drawdown", title, to_svg(figure))


def position_plot(report: Report) -> Plot:
    """Draw the price and, under it, the exposure held at each close."""
    figure = Figure(figsize=SIZE, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    draw_line(upper, report.times, report.closes, INK, "close")
    money_axis(upper, report.closes, "close")
    upper.tick_params(labelbottom=False)
    held = report.exposures
    for part, colour, extreme in ((np.maximum(held, 0), GAIN, np.max), (np.minimum(held, 0), LOSS, np.min)):
        rows, values = thinned_steps(part, extreme)
        lower.fill_between(report.times[rows], values, 0.0, step="post", color=colour, alpha=0.7, linewidth=0)
    lower.axhline(0.0, color=MUTED, linewidth=0.6)
    lower.set_ylabel("exposure")
    date_axis(lower)
    long_frac, short_frac = float(np.mean(held > 0)), float(np.mean(held < 0))
    title = f"Exposure (position / equity): long in {percent(long_frac)} of bars, short in {percent(short_frac)}"
    return Plot("position", title, to_svg(figure))


def rolling_sharpe_plot(report: Report) -> Plot:
    """Draw the annual Sharpe ratio of a moving window: a year, or a quarter of the data if that is shorter."""
    figure, axes = new_figure()
    measured = report.performance
    window = max(2, min(round(measured.bars_per_year), len(report.closes) // 4))
    if len(report.closes) <= window:
        write_message(axes, "too few bars for a moving window")
        return Plot("rolling_sharpe", "Rolling Sharpe ratio", to_svg(figure))
    initial = measured.initial_equity
    for equity, colour, label in ((report.benchmark, BENCHMARK, "buy and hold"), (report.equity, STRATEGY, "strategy")):
        values = rolling_sharpe(simple_returns(equity, initial), window) * np.sqrt(measured.bars_per_year)
        draw_line(axes, report.times[window - 1 :], values, colour, label)
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.set_ylabel("annual Sharpe ratio")
    add_legend(axes)
    return Plot("rolling_sharpe", f"Sharpe ratio of the last {window:,} bars: is the edge steady?", to_svg(figure))


def distribution_plot(report: Report) -> Plot:
    """Draw the histogram of returns of bars in the market against a normal of the same mean and spread."""
    figure, axes = new_figure()
    records = report.records
    invested = np.any([np.asarray(units) != 0 for units in (records.units, records.fill_units, records.call_units)], 0)
    returns = 100 * simple_returns(report.equity, report.performance.initial_equity)[invested]
    if len(returns) < 3 or np.ptp(returns) <= 0:
        write_message(axes, "too few bars in the market")
        return Plot("distribution", "Returns of bars in the market", to_svg(figure))
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
    edges = np.linspace(mean - 5 * deviation, mean + 5 * deviation, HISTOGRAM_BINS + 1)
    axes.hist(
        np.clip(returns, edges[0], edges[-1]), edges.tolist(), density=True, color=STRATEGY, alpha=0.6, label="returns"
    )
    density = np.exp(-0.5 * ((edges - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    axes.plot(edges, density, color=MUTED, label="normal")
    axes.set(xlabel="return per bar in the market, % (tails gathered at 5 deviations)", ylabel="density")
    add_legend(axes)
    standard = (returns - mean) / returns.std()
    skew, kurtosis = float(np.mean(standard**3)), float(np.mean(standard**4)) - 3.0
    title = f"Returns in the market: skew {number(skew)}, excess kurtosis {number(kurtosis)}"
    return Plot("distribution", title, to_svg(figure))


def costs_plot(report: Report) -> Plot:
    """Draw what was paid, by kind."""
    figure, axes = new_figure()
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
    return Plot("costs", _costs_title(report.performance), to_svg(figure))


def _costs_title(measured: Performance) -> str:
    if measured.cost_bps is None or measured.break_even_fee_bps is None:
        return "Nothing was traded, nothing was paid"
    paid = f"Costs were {number(measured.cost_bps, 1)} bps of traded value"
    if measured.break_even_fee_bps <= 0:
        return f"{paid}; it lost money even before them"
    return f"{paid}; the profit is gone at {number(measured.break_even_fee_bps, 1)}"


def rolling_sharpe(returns: FloatArray, window: int) -> FloatArray:
    """Return the Sharpe ratio per bar of each window, (T - window + 1,); 0 where returns hardly varied."""
    # Sums of centred values: a running sum of squares would lose the small differences.
    centred = returns - returns.mean()
    first, second = (np.concatenate([[0.0], np.cumsum(values)]) for values in (centred, centred**2))
    mean = (first[window:] - first[:-window]) / window
    variance = (second[window:] - second[:-window] - window * mean**2) / (window - 1)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    mean += returns.mean()
    known = (deviation > 1e-9) & varies(mean, deviation)
    ratio: FloatArray = np.divide(mean, deviation, out=np.zeros_like(mean), where=known)
    return ratio


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
