"""What every plot is drawn on: inline SVG that follows the page's theme and font.

Matplotlib draws with placeholder colours, which become CSS variables, so one picture serves light and dark. Long series
are thinned to an envelope that keeps every bucket's lowest and highest point: spikes stay, file size does not grow.
"""

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from src.market.bars import FloatArray
from src.reporting.formats import price

LineStyle = Literal["solid", "dashed", "dotted"]

BUCKETS = 400  # two points each; the plots are 400 to 600 pixels wide
SIZE = (5.4, 3.1)  # inches; small, so that the labels can still be read on a phone
LOG_AXIS_FROM = 3.0  # ratio of highest to lowest value at which a log axis reads better

# Placeholder colours and the CSS variables they stand for (`backtest_page.py` gives their values).
_NAMES = ("ink", "muted", "grid", "strategy", "benchmark", "gain", "loss", *(f"series{n}" for n in range(1, 9)))
_VARIABLES = {f"#0{digit}0{digit}0{digit}": name for digit, name in zip("123456789abcdef", _NAMES, strict=True)}
INK, MUTED, GRID, STRATEGY, BENCHMARK, GAIN, LOSS, *SERIES = _VARIABLES  # SERIES tell curves of equal rank apart
CARD = "#101010"  # what a picture lies on
_VARIABLES[CARD] = "card"

STYLE: Any = {
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


def thinned_rows(values: FloatArray) -> NDArray[np.int64]:
    """Return the rows (R,) of a long line (T,) to draw: lowest and highest of each bucket, the first and the last."""
    count = len(values)
    if count <= 2 * BUCKETS:
        return np.arange(count)
    edges = np.linspace(0, count, BUCKETS + 1).astype(np.int64)
    extremes = [low + pick(values[low:high]) for low, high in pairwise(edges) for pick in (np.argmin, np.argmax)]
    return np.unique(np.array([0, count - 1, *extremes], dtype=np.int64))


def thinned_steps(values: FloatArray, extreme: Callable[..., FloatArray]) -> tuple[NDArray[np.int64], FloatArray]:
    """Return first row and extreme value of each bucket of a long step function (T,), (R,) each."""
    count = len(values)
    if count <= 2 * BUCKETS:
        return np.arange(count), values
    edges = np.linspace(0, count, 2 * BUCKETS + 1).astype(np.int64)
    return edges[:-1], np.array([extreme(values[low:high]) for low, high in pairwise(edges)])


def new_figure(size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    """Return an empty picture of one plot; draw it under `mpl.rc_context(STYLE)`."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def draw_line(axes: Axes, times: NDArray[np.datetime64], values: FloatArray, colour: str, label: str) -> None:
    """Draw a series (T,) over its times (T,), thinned."""
    rows = thinned_rows(values)
    axes.plot(times[rows], values[rows], color=colour, label=label)
    date_axis(axes)


def add_legend(axes: Axes, columns: int = 2) -> None:
    """Name the lines above the plot, where that cannot hide one."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False, borderaxespad=0.1, borderpad=0.2
    )


def date_axis(axes: Axes) -> None:
    """Write dates as short as they can be told apart."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(MUTED)


def money_axis(axes: Axes, values: FloatArray, label: str) -> None:
    """Write plain numbers, on a log axis where `values` (T,) differ by more than `LOG_AXIS_FROM`."""
    low, high = float(values.min()), float(values.max())
    is_log = low > 0 and high / low >= LOG_AXIS_FROM
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0]))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: price(value)))
    axes.set_ylabel(f"{label} (log)" if is_log else label)


def write_message(axes: Axes, message: str) -> None:
    """Write a message instead of a plot."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, color=MUTED, ha="center", va="center", transform=axes.transAxes)


def to_svg(figure: Figure) -> str:
    """Return the picture as SVG that scales with the page; equal pictures give equal text."""
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


def add_tooltips(svg: str, group: str, names: Sequence[str]) -> str:
    """Give each mark of the scatter whose gid is `group` its name as a tooltip, in the order of its points."""
    start = svg.index(f'<g id="{group}"')
    waiting = iter(names)

    def named(found: re.Match[str]) -> str:
        mark, tag = found[1], found[2]
        name = None if mark is None else next(waiting, None)  # definitions of shapes are no marks
        return found[0] if name is None else f"{mark}><title>{escape(name)}</title></{tag}>"

    return svg[:start] + re.sub(r"<defs>.*?</defs>|(<(use|path) [^>]*?)\s*/>", named, svg[start:], flags=re.DOTALL)
