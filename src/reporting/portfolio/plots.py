"""The plots of a portfolio's report. Each title is the sentence that says what to see."""

import matplotlib as mpl
import numpy as np

from src.evaluation.returns import drawdowns
from src.market.bars import FloatArray
from src.market.panel import BoolArray
from src.reporting.formats import number, percent
from src.reporting.html.canvas import (
    BENCHMARK,
    GAIN,
    LOSS,
    SERIES,
    STRATEGY,
    STYLE,
    Plot,
    add_legend,
    date_axis,
    draw_line,
    money_axis,
    new_figure,
    thinned_rows,
    to_svg,
    write_message,
)
from src.reporting.portfolio.summary import PortfolioReport

MOST_BANDS = 7  # symbols with a band of their own; the rest share one
CORRELATION_LEAST = 30  # bars
WIDE = (11.0, 3.1)  # inches, over both columns


def portfolio_plots(report: PortfolioReport) -> list[Plot]:
    """Return every plot, in reading order."""
    with mpl.rc_context(STYLE):
        return [draw(report) for draw in (_equity, _drawdown, _weights, _exposure, _contribution, _correlation)]


def _equity(report: PortfolioReport) -> Plot:
    figure, axes = new_figure()
    draw_line(axes, report.times, report.equity, STRATEGY, "equity")
    money_axis(axes, report.equity, "equity")
    return Plot("equity", f"Equity ends at {number(float(report.equity[-1]), 0)}", to_svg(figure))


def _drawdown(report: PortfolioReport) -> Plot:
    figure, axes = new_figure()
    depth = -100 * drawdowns(report.equity, report.performance.initial_equity)
    draw_line(axes, report.times, depth, STRATEGY, "below the last peak")
    axes.set_ylabel("below the last peak, %")
    measured = report.performance
    title = f"Deepest fall from a peak: {percent(measured.max_drawdown)}, over {measured.max_drawdown_bars:,} bars"
    return Plot("drawdown", title, to_svg(figure))


def _weights(report: PortfolioReport) -> Plot:
    # Bands of the largest holdings by mean size, long ones above zero, short ones below; the rest in one band.
    figure, axes = new_figure(WIDE)
    exposure, symbols = 100 * report.exposures, report.panel.symbols
    order = np.argsort(-np.abs(exposure).mean(axis=0), kind="stable")
    bands = {symbols[column]: exposure[:, column] for column in order[:MOST_BANDS]}
    if len(order) > MOST_BANDS:
        bands["others"] = exposure[:, order[MOST_BANDS:]].sum(axis=1)
    rows = thinned_rows(np.abs(exposure).sum(axis=1))
    for side in (np.maximum, np.minimum):
        layers = [side(band[rows], 0.0) for band in bands.values()]
        axes.stackplot(report.times[rows], *layers, colors=SERIES[: len(bands)], linewidth=0)
    for colour, name in zip(SERIES, bands, strict=False):
        axes.fill_between([], [], color=colour, label=name)
    axes.set_ylabel("of equity, %")
    date_axis(axes)
    add_legend(axes, columns=4)
    held = number(report.performance.symbols_held, 1)
    return Plot("weights", f"Weights over time: {held} of {len(symbols)} symbols held on average", to_svg(figure))


def _exposure(report: PortfolioReport) -> Plot:
    figure, axes = new_figure()
    draw_line(axes, report.times, 100 * np.abs(report.exposures).sum(axis=1), BENCHMARK, "gross")
    draw_line(axes, report.times, 100 * report.exposures.sum(axis=1), STRATEGY, "net")
    axes.set_ylabel("of equity, %")
    add_legend(axes)
    measured = report.performance
    gross, net = percent(measured.gross_exposure), percent(measured.net_exposure, sign=True)
    return Plot("exposure", f"Exposure: {gross} gross, {net} net on average", to_svg(figure))


def _contribution(report: PortfolioReport) -> Plot:
    figure, axes = new_figure()
    parts = sorted(report.performance.by_symbol.items(), key=lambda item: item[1].profit)
    values = [100 * one.contribution for _, one in parts]
    axes.barh([name for name, _ in parts], values, color=[GAIN if value >= 0 else LOSS for value in values])
    axes.set_xlabel("of the initial equity, %")
    title = f"Profit by symbol, before interest: most from {parts[-1][0]}, least from {parts[0][0]}"
    return Plot("contribution", title, to_svg(figure))


def _correlation(report: PortfolioReport) -> Plot:
    figure, axes = new_figure()
    matrix = _correlations(report.marks, report.panel.has_bar)
    if matrix is None:
        write_message(axes, "too few bars that symbols have in common")
        return Plot("correlation", "Correlation of returns: unknown", to_svg(figure))
    symbols = report.panel.symbols
    image = axes.pcolormesh(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    places = np.arange(len(symbols)) + 0.5
    axes.set_xticks(places, symbols, rotation=90)
    axes.set_yticks(places, symbols)
    axes.grid(visible=False)
    bar = figure.colorbar(image, ax=axes)
    if bar.solids is not None:
        bar.solids.set_rasterized(False)  # a page holds no pictures of points
    pairs = matrix[np.triu_indices(len(symbols), 1)]
    known = pairs[np.isfinite(pairs)]
    mean = number(float(known.mean())) if len(known) else "unknown"
    return Plot("correlation", f"Correlation of returns: {mean} on average", to_svg(figure))


def _correlations(marks: FloatArray, has_bar: BoolArray) -> FloatArray | None:
    # Over the rows in which both of a pair have this bar and the one before, (S, S); NaN for pairs with too few.
    both = has_bar[1:] & has_bar[:-1]
    returns = np.where(both, np.diff(np.log(marks), axis=0), np.nan)
    count = both.shape[1]
    matrix = np.full((count, count), np.nan)
    for one in range(count):
        for other in range(count):
            rows = both[:, one] & both[:, other]
            if rows.sum() >= CORRELATION_LEAST and min(returns[rows, one].std(), returns[rows, other].std()) > 0:
                matrix[one, other] = np.corrcoef(returns[rows, one], returns[rows, other])[0, 1]
    return matrix if np.isfinite(matrix).any() else None
