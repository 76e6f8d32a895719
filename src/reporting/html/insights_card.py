"""What a report shows of what an agent knew: regimes, chart patterns and memories under the price, and what it did."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from src.execution.costs import BPS
from src.market.bars import FloatArray
from src.reporting.formats import UNDEFINED, number, percent
from src.reporting.html.canvas import (
    BUCKETS,
    INK,
    SERIES,
    SIZE,
    STRATEGY,
    STYLE,
    Plot,
    add_legend,
    add_tooltips,
    date_axis,
    draw_line,
    money_axis,
    thinned_steps,
    to_svg,
)
from src.reporting.html.layout import figure_card, note, table_head, table_row
from src.reporting.insights import Insights, Pattern
from src.reporting.summary import Report

Times = NDArray[np.datetime64]

_MOST_PATTERNS = 8  # kinds with a lane of their own, the most frequent


def insights_card(report: Report) -> str:
    """Return the picture and the table of regimes; nothing for an agent that gives no insights."""
    if report.insights is None:
        return ""
    plot = insights_plot(report.times, report.closes, report.insights)
    if not report.insights.regime_names:
        return figure_card(plot, wide=True)
    table = regimes_table(report.insights, report.exposures, report.closes)
    remark = note(
        "Exposure is held at the closes of bars at which a regime was the likeliest; returns are of the next bar."
    )
    return figure_card(plot, wide=True, below=f'<div class="scroll">{table}</div>{remark}')


def insights_plot(times: Times, closes: FloatArray, insights: Insights) -> Plot:
    """Draw closes (T,) and under them what the agent knew: regimes as a band, patterns as marks, trust as a line."""
    lanes = [name for name, _ in Counter(p.name for p in insights.patterns).most_common(_MOST_PATTERNS)]
    heights = [1.4]
    heights += [1.0] if insights.regime_names else []
    heights += [0.25 + 0.13 * len(lanes)] if lanes else []
    heights += [0.6] if insights.trust is not None else []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2 * SIZE[0], 1.5 * sum(heights)), layout="constrained")
        price, *below = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        draw_line(price, times, closes, INK, "close")
        money_axis(price, closes, "close")
        waiting = iter(below)
        if insights.regime_names:
            _draw_regimes(next(waiting), times, insights)
        marks = _draw_patterns(next(waiting), times, insights.patterns, lanes) if lanes else {}
        if insights.trust is not None:
            _draw_trust(next(waiting), times, insights.trust)
        for axes in [price, *below][:-1]:
            axes.tick_params(labelbottom=False)
        date_axis([price, *below][-1])
        svg = to_svg(figure)
        for group, names in marks.items():
            svg = add_tooltips(svg, group, names)
        return Plot("insights", _title(insights), svg)


def regimes_table(insights: Insights, exposure: FloatArray, closes: FloatArray) -> str:
    """Return an HTML table: how often each regime was the likeliest, what was held then, and what followed.

    Args:
        exposure: (T,) held at each close.
        closes: (T,); what followed a bar is the return of the next, annual figures are left to the reader.
    """
    likeliest = insights.regimes.argmax(1)
    following = np.diff(closes) / closes[:-1]
    rows = []
    for place, name in enumerate(insights.regime_names):
        lead = likeliest == place
        then = following[lead[:-1]]
        held = exposure[lead]
        rows.append(
            table_row(
                name,
                (
                    percent(float(insights.regimes[:, place].mean())),
                    percent(float(lead.mean())),
                    number(float(held.mean())) if len(held) else UNDEFINED,
                    number(float(then.mean()) / BPS, 1) if len(then) else UNDEFINED,
                    number(float(then.std()) / BPS, 0) if len(then) else UNDEFINED,
                ),
            )
        )
    headings = ("", "mean probability", "likeliest in", "mean exposure then", "next return, bps", "its deviation, bps")
    return f'<table class="summary">{table_head(headings)}<tbody>{"".join(rows)}</tbody></table>'


def _draw_regimes(axes: Axes, times: Times, insights: Insights) -> None:
    thinned = [thinned_steps(column, np.mean) for column in insights.regimes.astype(np.float64).T]
    colours = [SERIES[place % len(SERIES)] for place in range(len(thinned))]
    values = [means for _, means in thinned]
    axes.stackplot(times[thinned[0][0]], values, colors=colours, labels=insights.regime_names, alpha=0.75, linewidth=0)
    axes.set(ylabel="regime", ylim=(0.0, 1.0), yticks=(0.0, 0.5, 1.0))
    add_legend(axes, columns=4)


def _draw_patterns(axes: Axes, times: Times, patterns: Sequence[Pattern], lanes: Sequence[str]) -> dict[str, list[str]]:
    # Returns what the marks of each lane say when pointed at.
    width, marks = max(1, len(times) // (2 * BUCKETS)), {}
    for lane, name in enumerate(reversed(lanes)):
        seen: dict[int, float] = {}  # of neighbours that would be one mark, the surest
        group = f"pattern-marks-{lane}"
        for pattern in patterns:
            if pattern.name == name:
                place = pattern.row // width * width
                seen[place] = max(seen.get(place, 0.0), pattern.probability)
        alphas: Any = [0.15 + 0.85 * min(max(sure, 0.0), 1.0) for sure in seen.values()]
        heights = np.full(len(seen), lane)
        axes.scatter(times[list(seen)], heights, marker="|", s=64, linewidths=1.6, color=INK, alpha=alphas, gid=group)
        marks[group] = [f"{name} {sure:.2f}, {times[row]}" for row, sure in seen.items()]
    axes.set_yticks(range(len(lanes)))
    axes.set_yticklabels(list(reversed(lanes)), fontsize=8.5, parse_math=False)
    axes.set_ylim(-0.7, len(lanes) - 0.3)
    return marks


def _draw_trust(axes: Axes, times: Times, trust: FloatArray) -> None:
    rows, values = thinned_steps(trust.astype(np.float64), np.max)
    axes.fill_between(times[rows], values, 0.0, step="post", color=STRATEGY, alpha=0.5, linewidth=0)
    axes.set(ylabel="memory", ylim=(0.0, 1.0), yticks=(0.0, 1.0))


def _title(insights: Insights) -> str:
    phrases = []
    if insights.regime_names:
        counts = np.bincount(insights.regimes.argmax(1), minlength=len(insights.regime_names))
        share = percent(float(counts.max()) / len(insights.regimes))
        phrases.append(f"{insights.regime_names[int(counts.argmax())]} is the likeliest regime in {share} of bars")
    if insights.patterns:
        phrases.append(f"{len(insights.patterns):,} patterns")
    if insights.trust is not None:
        phrases.append(f"memories recalled in {insights.recalled:,} of {len(insights.trust):,} bars")
    return "What it knew: " + (", ".join(phrases) or "nothing beyond its features")
